"""The product of tokens with one weight, by oneDNN on processors that torch's own library, MKL, leaves half used.

MKL keeps AVX-512 for Intel's processors. Which library multiplies follows from the machine and the shapes alone, never from a
timing: the same run has the same bits.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST = 1 << 22  # multiplications of a product; fewer take either library less than 0.1 ms


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute x W^T + b: [..., out]."""
        # A frozen weight has no gradient, so the layer's input need not be kept for it: most of what a backward pass keeps.
        to_x, to_weight = ctx.needs_input_grad[:2]
        ctx.save_for_backward(x if to_weight else None, weight if to_x else None)
        return multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Compute the gradients of x, the weight and the bias, each of its shape."""
        gradient = gradients[0].contiguous()  # [..., out]; so that flattening it below is a view
        x, weight = ctx.saved_tensors
        flat = gradient.flatten(0, -2)  # [tokens of all runs, out]
        to_x = None if weight is None else multiply(gradient, weight.T)
        to_weight = None if x is None else multiply(flat.T, x.flatten(0, -2).T)
        to_bias = flat.sum(0) if ctx.needs_input_grad[2] else None
        return to_x, to_weight, to_bias


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b, [..., out], for x [..., in], a weight [out, in] and a bias [out] or None; gradients reach all three."""
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    result: Tensor = _Product.apply(x.contiguous(), weight, bias)
    return result


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same product without gradients, for use inside a function that has its own."""
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    # In float32 alone, which runs on processors are trained in: other precisions stay with what torch chooses.
    # The size comes last: on other devices a compiled network is not to depend on it.
    here = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    return here and x.numel() * weight.shape[0] >= LEAST and onednn_is_faster()


@cache
def onednn_is_faster() -> bool:
    """Whether this is an AMD processor with AVX-512, and a torch that has both libraries."""
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    described = Path("/proc/cpuinfo")
    amd = described.is_file() and "AuthenticAMD" in described.read_text(errors="replace")
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return both and amd and wide and hasattr(torch.ops.mkldnn, "_linear_pointwise")
