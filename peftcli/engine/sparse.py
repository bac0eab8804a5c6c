"""A linear layer of which each run trains a few elements: the dense gradient is never formed, nor a cohort's own weights."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Places:
    """Where a weight's selected elements are: `index` [elements] in the flat weight, `rows` and `columns` [1, elements]."""

    index: Tensor
    rows: Tensor
    columns: Tensor


_Gradients = tuple[Tensor | None, Tensor | None, None, None, Tensor | None]


class _SparseLinear(torch.autograd.Function):
    """y[r, t] = W x[r, t] + b[r], and y[r, t, row_k] += x[r, t, column_k] * delta[r, k] for every selected element k."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, index: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Give y [runs, tokens, out]."""
        rows, columns = index // x.shape[-1], index % x.shape[-1]
        entered = _pick(x, columns)
        ctx.picked = columns.shape[1] <= x.shape[2]
        ctx.save_for_backward(entered if ctx.picked else x, delta, rows, columns, weight)
        ctx.shared_bias = bias.ndim == 1
        y = F.linear(x, weight, bias) if bias.ndim == 1 else F.linear(x, weight).add_(bias[:, None])
        return y.scatter_add_(2, _each_token(rows, x), entered * delta[:, None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Give the gradients of x, delta and the bias."""
        gradient = gradients[0]
        kept, delta, rows, columns, weight = ctx.saved_tensors
        arrived = _pick(gradient, rows)
        to_delta = (arrived * (kept if ctx.picked else _pick(kept, columns))).sum(1)
        to_bias = gradient.sum((0, 1) if ctx.shared_bias else 1) if ctx.needs_input_grad[4] else None
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (gradient @ weight).scatter_add_(2, _each_token(columns, gradient), arrived.mul_(delta[:, None]))
        return to_x, to_delta, None, None, to_bias


class _PatchedLinear(torch.autograd.Function):
    """One run's y[t] = P x[t] + b, where P is W with the selected elements replaced: a plain product each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, patched: Tensor, places: Places, bias: Tensor) -> Tensor:
        """Give y [1, tokens, out]."""
        patched.view(-1).scatter_(0, places.index, value.view(-1).to(patched.dtype))
        ctx.picked = places.columns.shape[1] <= x.shape[2]
        ctx.save_for_backward(_pick(x, places.columns) if ctx.picked else x, patched)
        ctx.places, ctx.precision = places, value.dtype
        return F.linear(x, patched, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Give the gradients of x, of the elements and of the bias."""
        gradient = gradients[0]
        kept, patched = ctx.saved_tensors
        entered = kept if ctx.picked else _pick(kept, ctx.places.columns)
        products = _pick(gradient, ctx.places.rows).mul_(entered)
        to_bias = gradient.sum((0, 1)) if ctx.needs_input_grad[4] else None
        to_x = gradient @ patched if ctx.needs_input_grad[0] else None
        return to_x, products.sum(1, dtype=ctx.precision), None, None, to_bias


def sparse_linear(x: Tensor, weight: Tensor, bias: Tensor, delta: Tensor, index: Tensor) -> Tensor:
    """Multiply x [runs, tokens, in] by the shared frozen weight [out, in] with each run's few differences added.

    `delta` [runs, elements] at `index` [runs, elements], which counts through the flat weight; `bias` [out] or, where it
    is trained, [runs, out]. The gradient of `delta` comes by gathering the selected rows and columns.
    """
    result: Tensor = _SparseLinear.apply(x, delta.to(x.dtype), index, weight, bias.to(x.dtype))
    return result


def patched_linear(x: Tensor, value: Tensor, patched: Tensor, places: Places, bias: Tensor) -> Tensor:
    """Do for one run, `x` [1, tokens, in], what `sparse_linear` does, with a weight `patched` [out, in] of its own.

    `value` [1, elements] is written to it; elsewhere it equals the shared weight. `bias` [out].
    """
    result: Tensor = _PatchedLinear.apply(x, value, patched, places, bias.to(x.dtype))
    return result


def _pick(x: Tensor, columns: Tensor) -> Tensor:
    """Read the selected columns of every token. For the backward pass they are kept instead of x where they are fewer."""
    return x.gather(2, _each_token(columns, x))


def _each_token(chosen: Tensor, x: Tensor) -> Tensor:
    return chosen[:, None].expand(-1, x.shape[1], -1)
