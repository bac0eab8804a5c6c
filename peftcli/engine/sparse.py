"""A linear layer of which each run trains a few elements: the dense gradient is never formed, nor a cohort's own weights."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from peftcli.engine.matmul import multiply


@dataclass(frozen=True)
class Places:
    """Where a weight's selected elements are: `index` [1, elements] in the flat weight, `rows` and `columns` [1, 1, elements]."""

    index: Tensor
    rows: Tensor
    columns: Tensor


_Gradients = tuple[Tensor | None, Tensor | None, None, None, Tensor | None]


class _SparseLinear(torch.autograd.Function):
    """y[r, t] = W x[r, t] + b[r], and y[r, t, row_k] += x[r, t, column_k] * delta[r, k] for every selected element k."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, index: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Give y [runs, tokens, out]."""
        rows, columns = (index // x.shape[2])[:, None], (index % x.shape[2])[:, None]
        entered = _at(columns, x)
        ctx.picked = columns.shape[2] <= x.shape[2]
        ctx.save_for_backward(entered if ctx.picked else x, delta, rows, columns, weight)
        ctx.shared_bias = bias.ndim == 1
        y = multiply(x, weight, bias) if bias.ndim == 1 else multiply(x, weight).add_(bias[:, None])
        return y.scatter_add_(2, _each_token(rows, x), entered * delta[:, None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Give the gradients of x, delta and the bias."""
        gradient = gradients[0].contiguous()
        kept, delta, rows, columns, weight = ctx.saved_tensors
        arrived = _at(rows, gradient)
        to_delta = (arrived * (kept if ctx.picked else _at(columns, kept))).sum(1)
        to_bias = gradient.sum((0, 1) if ctx.shared_bias else 1) if ctx.needs_input_grad[4] else None
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = multiply(gradient, weight.T).scatter_add_(
                2, _each_token(columns, gradient), arrived.mul_(delta[:, None])
            )
        return to_x, to_delta, None, None, to_bias


class _PatchedLinear(torch.autograd.Function):
    """One run's y[t] = P x[t] + b, where P is W with the selected elements replaced: a plain product each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, patched: Tensor, places: Places, bias: Tensor) -> Tensor:
        """Give y [1, tokens, out]."""
        patched.put_(places.index, value.to(patched.dtype))
        ctx.picked = places.columns.shape[2] <= x.shape[2]
        ctx.save_for_backward(_at(places.columns, x) if ctx.picked else x, patched)
        ctx.places, ctx.precision = places, value.dtype
        return multiply(x, patched, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Give the gradients of x, of the elements and of the bias."""
        gradient = gradients[0].contiguous()
        kept, patched = ctx.saved_tensors
        entered = kept if ctx.picked else _at(ctx.places.columns, kept)
        to_value = _at(ctx.places.rows, gradient).mul_(entered).sum(1, dtype=ctx.precision)
        to_x, _, _, _, to_bias = ctx.needs_input_grad
        return (
            multiply(gradient, patched.T) if to_x else None,
            to_value,
            None,
            None,
            gradient.sum((0, 1)) if to_bias else None,
        )


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


def _at(columns: Tensor, x: Tensor) -> Tensor:
    """Read the selected columns [runs, 1, elements] of every token of x [runs, tokens, width]."""
    return x.gather(2, _each_token(columns, x))


def _each_token(chosen: Tensor, x: Tensor) -> Tensor:
    return chosen.expand(-1, x.shape[1], -1)
