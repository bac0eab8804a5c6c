"""The device to train on, what is refused of it, and the precision that is meant there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from peftcli.engine import device
from peftcli.errors import UserError
from peftcli.experiment import plan, recipe

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine whose torch finds no GPU, and on which nothing says that there should be one."""
    for name in (*device.GRANTED, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    return monkeypatch


@pytest.fixture
def capability(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda on: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda on: "some card")
    return monkeypatch


@pytest.fixture
def restored(capability: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU of compute capability 8.0, and torch's switches as they were once the test is over."""
    matmul, cudnn, deterministic = torch.backends.cuda.matmul, torch.backends.cudnn, torch.utils.deterministic
    before = (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction)
    products, filling = torch.get_float32_matmul_precision(), deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    yield
    torch.set_float32_matmul_precision(products)
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction = before
    deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "on", "name", "dtype"),
    [
        ("auto", CPU, "float32", torch.float32),
        ("auto", GPU, "bfloat16", torch.bfloat16),
        ("float32", GPU, "float32", torch.float32),
        ("tf32", GPU, "tf32", torch.float32),
        ("bfloat16", CPU, "bfloat16", torch.bfloat16),
        ("float64", CPU, "float64", torch.float64),
    ],
)
def test_auto_is_what_the_device_is_fast_in(
    asked: str, on: torch.device, name: str, dtype: torch.dtype, capability: pytest.MonkeyPatch
) -> None:
    assert device.resolve_precision(asked, on) == name
    assert device.number_type(name) is dtype


@pytest.mark.parametrize(("there", "name"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")])
def test_auto_is_bfloat16_only_where_a_gpu_multiplies_it_itself(
    there: tuple[int, int], name: str, capability: pytest.MonkeyPatch
) -> None:
    capability.setattr(torch.cuda, "get_device_capability", lambda on: there)
    assert device.resolve_precision("auto", GPU) == name


def test_tf32_is_refused_where_there_is_none(capability: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"precision tf32: a processor has not; it needs .* 8\.0 .*auto, float32"):
        device.resolve_precision("tf32", CPU)
    capability.setattr(torch.cuda, "get_device_capability", lambda on: (7, 0))
    with pytest.raises(UserError, match="precision tf32: some card has not"):
        device.resolve_precision("tf32", GPU)


def test_a_process_trains_on_its_own_gpu_where_there_is_one(no_gpu: pytest.MonkeyPatch) -> None:
    no_gpu.setattr(torch.cuda, "current_device", lambda: 1)
    assert device.choose() == CPU
    no_gpu.setattr(torch.cuda, "is_available", lambda: True)
    for asked, expected in ((None, GPU), ("cuda", GPU), ("cpu", CPU)):
        assert device.choose(asked) == expected


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown device 'cdua': did you mean 'cuda'\? known: cpu, cuda"):
        device.choose("cdua")


def test_cuda_asked_for_and_not_there_is_an_error_that_says_why(no_gpu: pytest.MonkeyPatch) -> None:
    no_gpu.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(
        UserError, match=r"--device cuda: no GPU can be used \(torch .* is built without CUDA\); --device cpu"
    ):
        device.choose("cuda")

    def too_old() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update")

    no_gpu.setattr(torch.backends.cuda, "is_built", lambda: True)
    no_gpu.setattr(torch.cuda, "init", too_old)
    with pytest.raises(UserError, match=r"\(The NVIDIA driver on your system is too old \(found version 11040\)\.\)"):
        device.choose("cuda")
    no_gpu.setattr(torch.cuda, "init", lambda: None)
    no_gpu.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(UserError, match=r"no device is visible: CUDA_VISIBLE_DEVICES is '7'"):
        device.choose("cuda")


@pytest.mark.parametrize("name", device.GRANTED)
def test_a_gpu_that_a_cluster_granted_is_not_silently_done_without(name: str, no_gpu: pytest.MonkeyPatch) -> None:
    no_gpu.setenv("CUDA_VISIBLE_DEVICES", "")
    no_gpu.setenv(name, "0" if name == "SLURM_GPUS_ON_NODE" else "")
    assert device.choose() == CPU  # none were granted
    no_gpu.setenv(name, "1")
    with pytest.raises(UserError, match=rf"the cluster granted a GPU \({name}=1\), but it cannot be used"):
        device.choose()
    assert device.choose("cpu") == CPU


def test_a_gpu_that_is_installed_is_not_silently_done_without_but_may_be_hidden(no_gpu: pytest.MonkeyPatch) -> None:
    no_gpu.setattr(Path, "glob", lambda self, pattern: iter([Path("/dev/nvidia0")]))
    with pytest.raises(UserError, match=r"there is a GPU here \(/dev/nvidia0\), but it cannot be used"):
        device.choose()
    for hidden in ("", "-1", "NoDevFiles"):
        no_gpu.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert device.choose() == CPU


@pytest.mark.parametrize(
    ("precision", "products", "convolutions"), [("tf32", "high", True), ("float32", "highest", False)]
)
def test_a_gpu_is_told_to_compute_in_one_order_and_in_no_lower_precision(
    precision: str, products: str, convolutions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda value: told.update(products=value))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on, warn_only: told.update(order=(on, warn_only)))
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction)
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        device.prepare(CPU, precision)
        assert not told
        device.prepare(GPU, precision)
        assert told == {"products": products, "order": (True, True)}
        assert (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic) == (convolutions, False, True)
        assert not matmul.allow_bf16_reduced_precision_reduction
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction = before
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


@pytest.mark.parametrize("paper", ["transferability", "freezing", "effectiveness", "spafit"])
def test_a_paper_s_runs_multiply_without_tf32_whatever_was_allowed_before(
    paper: str, monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    table = {"transferability": "table2", "spafit": "table2"}.get(paper, "table1")
    run = plan.expand(recipe.load(recipe.find(f"{paper}/{table}"), {"seeds": 1}))[0].run
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on, warn_only: None)
    torch.set_float32_matmul_precision("medium")  # as a container or another library may have left it
    torch.backends.cudnn.allow_tf32 = True
    precision = device.resolve_precision(run.protocol.precision, GPU)
    device.prepare(GPU, precision)
    assert (precision, device.number_type(precision)) == ("float32", torch.float32)
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_the_workspace_of_products_is_fixed_before_cuda_starts(no_gpu: pytest.MonkeyPatch) -> None:
    no_gpu.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    device.choose()
    import os

    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    no_gpu.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # the user's own choice stays
    device.choose()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
