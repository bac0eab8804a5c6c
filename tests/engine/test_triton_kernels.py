"""Triton kernels: interpreted they equal the plain forms, and they compile for the GPUs that compute in bfloat16."""

from pathlib import Path

import pytest
import torch

from tests.apart import needs_fork, run_apart

pytest.importorskip("triton", reason="Triton is not installed")
pytestmark = needs_fork
# Nothing smaller: the interpreter, and not a GPU, reads bfloat16 numbers below 1e-38 as zero.
WHOLE_RANGE = [0.0, -0.0, 1e-37, 3.3e38, -3.3e38, float("inf"), float("-inf"), float("nan")]


def interpreted(dtype: torch.dtype, shape: tuple[int, ...], share: float) -> tuple[bool, str | None]:
    """Whether dropout by the interpreted kernel equals the plain form, and what the check on first use says."""
    pytest.MonkeyPatch().setenv(
        "TRITON_INTERPRET", "1"
    )  # read when the kernels' module is loaded: in this process alone
    from peftcli.engine import fused, triton_kernels

    x, rows = drawn(shape, dtype)
    ours, plain = triton_kernels.dropped(x, rows, share), fused.dropped_plain(x, rows, share)
    same = torch.equal(torch.isnan(ours), torch.isnan(plain)) and torch.equal(ours.nan_to_num(), plain.nan_to_num())
    return same, triton_kernels.difference(torch.device("cpu"))


def drawn(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of every size, those that are no numbers among them, and row numbers."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(shape, generator=generator)
    x.view(-1)[: len(WHOLE_RANGE)] = torch.tensor(WHOLE_RANGE)
    return x.to(dtype), torch.randint(-(2**31), 2**31, shape[:-1], generator=generator).int() | 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "share"), [((3, 11, 768), 0.1), ((2, 4, 33, 33), 0.5), ((9, 1), 0.3333)])
def test_interpreted_they_equal_the_plain_forms(dtype: torch.dtype, shape: tuple[int, ...], share: float) -> None:
    assert run_apart(interpreted, dtype, shape, share) == (True, None)


def test_the_check_on_first_use_finds_one_wrong_element() -> None:
    def off_by_one() -> str | None:
        pytest.MonkeyPatch().setenv("TRITON_INTERPRET", "1")
        from peftcli.engine import triton_kernels

        right = triton_kernels.dropped

        def wrong(x: torch.Tensor, rows: torch.Tensor, probability: float) -> torch.Tensor:
            out = right(x, rows, probability)
            out.view(-1)[-1] += 1
            return out

        triton_kernels.dropped = wrong
        return triton_kernels.difference(torch.device("cpu"))

    said = run_apart(off_by_one)
    assert said is not None
    assert "differs in 1 elements" in said


def compiled(capability: int, folder: Path) -> dict[str, int]:
    """Bytes of machine code of every kernel for a GPU of a capability, none of which need be here."""
    pytest.MonkeyPatch().setenv("TRITON_CACHE_DIR", str(folder))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from peftcli.engine import triton_kernels

    sizes = {}
    for values in ("bf16", "fp32"):
        tensors = {"x": f"*{values}", "rows": "*i32", "columns": "*i32", "out": f"*{values}"}
        numbers = {"count": "i32", "width": "i32", "edge": "i32", "scale": "fp32"}
        constants = dict(zip(("ROWS", "WIDTH"), triton_kernels.tile(768), strict=True))
        signature = tensors | numbers | dict.fromkeys(constants, "constexpr")
        source = ASTSource(triton_kernels.drop_kernel, signature=signature, constexprs=constants)
        code = triton.compile(source, target=GPUTarget("cuda", capability, 32))
        sizes[values] = len(code.asm["cubin"])
    return sizes


@pytest.mark.parametrize("capability", [80, 90])
def test_they_compile_for_gpus(capability: int, tmp_path: Path) -> None:
    sizes = run_apart(compiled, capability, tmp_path)
    assert sizes.keys() == {"bf16", "fp32"}
    assert min(sizes.values()) > 4000
