"""Fused operations: on a processor the plain forms, equal to the product with multipliers; one kernel where ours serve."""

import sys
from collections import Counter
from types import ModuleType
from typing import Any

import pytest
import torch

from peftcli import noise
from peftcli.engine import fused
from peftcli.engine.dropout import drop
from tests import pretend
from tests.apart import needs_fork, run_apart
from tests.counts import by_operation

SHAPES = [(3, 50, 768), (6, 12, 33, 33), (1, 16, 7)]
SHARES = [0.001, 0.1, 0.3333, 0.5, 0.9]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def drawn(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and row numbers of a shape, always the same."""
    generator = torch.Generator().manual_seed(len(shape))
    rows = torch.randint(-(2**31), 2**31, shape[:-1], generator=generator).int() | 1
    return torch.randn(shape, generator=generator).to(dtype), rows


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", SHARES)
def test_the_plain_form_equals_the_product_with_multipliers(
    shape: tuple[int, ...], share: float, dtype: torch.dtype
) -> None:
    x, rows = drawn(shape, dtype)
    wide = torch.promote_types(dtype, torch.float32)
    expected = (x * noise.multipliers(rows, shape[-1], share, wide)).to(dtype)
    plain = fused.dropped_plain(x, rows, share)
    assert torch.equal(plain, expected)
    assert plain.dtype == dtype
    assert torch.equal(drop(x, rows, share), expected), "and what a processor trains with is the same"


def test_the_operator_is_what_torch_expects_of_one() -> None:
    x, rows = drawn((3, 5, 8), torch.float32)
    torch.library.opcheck(torch.ops.peftcli.dropped.default, (x, rows, 0.1))
    torch.library.opcheck(torch.ops.peftcli.dropped.default, (x.transpose(0, 1), rows.T, 0.1))


def counted(serves: bool, shape: tuple[int, ...], shapes: bool) -> tuple[Any, Any, int, torch.Tensor | None]:
    """Kernels and bytes each way of one dropout in bfloat16 on the pretend GPU, and the gradient."""
    fused.serves = lambda device: serves and device.type != "cpu"  # type: ignore[assignment]
    x, rows = drawn(shape, torch.bfloat16)
    with pretend.gpu(shapes) as device:
        there, numbers, one = x.to(device).requires_grad_(), rows.to(device), torch.ones_like(x).to(device)
        drop(x.to(device), numbers, 0.1)  # the columns' numbers are worked out once
        with pretend.counting() as forward:
            y = drop(there, numbers, 0.1)
        with pretend.counting() as backward:
            torch.autograd.backward(y, one)
        assert there.grad is not None
        gradient = None if shapes else there.grad.cpu()
        each = [(by_operation(c().kernels), c().traffic.total()) for c in (forward, backward)]
        return each[0], each[1], rows.numel() * 4 + shape[-1] * 4, gradient


@pretend.needs_pretend
@needs_fork
@pytest.mark.parametrize("shape", [(2, 64, 768), (8, 12, 60, 60)])
def test_kernels_and_bytes_of_dropout(shape: tuple[int, ...]) -> None:
    """With plain torch at most four kernels and 18 bytes an element each way, fused one and 4; both equal the processor's."""
    x, rows = drawn(shape, torch.bfloat16)
    expected = drop(torch.ones_like(x), rows, 0.1)
    for serves, kernels, most in ((False, 4, 18), (True, 1, 4)):
        *each, numbers, gradient = run_apart(counted, serves, shape, False)
        for launched, traffic in each:
            assert sum(launched.values()) <= kernels, launched
            # A row's and a column's numbers are read beside the elements.
            assert traffic <= most * x.numel() + numbers, traffic / x.numel()
        assert gradient is not None
        assert torch.equal(gradient, expected)
        assert run_apart(counted, serves, shape, True)[:2] == tuple(each), "shapes alone launch the same"
    assert each[0][0] == Counter(dropped=1)


def test_only_a_gpu_is_asked_for_kernels() -> None:
    assert not fused.serves(torch.device("cpu"))
    assert not fused.serves(torch.device("meta"))


@pytest.mark.parametrize(
    ("difference", "serves", "said"),
    [
        (None, True, ""),
        ("dropout of (3, 50, 768) differs in 1 elements", False, "differs in 1 elements"),
        (RuntimeError("no C compiler\nand more"), False, "RuntimeError: no C compiler)"),
    ],
)
def test_first_use_checks_and_falls_back_with_one_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], difference: Any, serves: bool, said: str
) -> None:
    asked = []

    def answer(device: torch.device) -> str | None:
        asked.append(device)
        if isinstance(difference, Exception):
            raise difference
        return difference

    kernels = ModuleType("peftcli.engine.triton_kernels")
    kernels.difference = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, kernels.__name__, kernels)
    monkeypatch.setattr("peftcli.engine.triton_kernels", kernels, raising=False)
    monkeypatch.setattr(fused, "find_spec", lambda name: object())
    device = torch.device("cuda", 0)
    fused._agrees.cache_clear()
    assert [fused.serves(device), fused.serves(device)] == [serves, serves]
    fused._agrees.cache_clear()
    note = capsys.readouterr().err
    assert asked == [device]
    assert said in note
    assert note.count("\n") == (0 if serves else 1)


def test_without_triton_nothing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(fused, "find_spec", lambda name: None)
    fused._agrees.cache_clear()
    assert not fused.serves(torch.device("cuda", 0))
    fused._agrees.cache_clear()
    assert capsys.readouterr().err == ""
