"""A linear layer of which each run trains a few elements: the dense gradient is never formed, nor a cohort's own weights.

Shapes: x [runs, tokens, in], y [runs, tokens, out], weight [out, in], elements [runs, elements] in the flat weight: element k is
in row `index // in` (an output) and column `index % in` (an input).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from peftcli.engine.matmul import multiply


@dataclass(frozen=True)
class ElementPositions:
    """A weight's selected elements: `index` [1, elements] in the flat weight, `rows` and `columns` [1, 1, elements]."""

    index: Tensor
    rows: Tensor
    columns: Tensor


_Gradients = tuple[Tensor | None, Tensor | None, None, None, Tensor | None]


class _SparseLinear(torch.autograd.Function):
    """y[r, t] = W x[r, t] + b[r], and y[r, t, row_k] += x[r, t, column_k] * delta[r, k] for every selected element k."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, index: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute y [runs, tokens, out]."""
        rows, columns = (index // x.shape[2])[:, None], (index % x.shape[2])[:, None]  # [runs, 1, elements]
        entered = _read_columns(columns, x)  # [runs, tokens, elements]
        # The gradient of delta needs only what entered: kept in the place of x, where that is the smaller of the two.
        ctx.keeps_entered = columns.shape[2] <= x.shape[2]
        ctx.save_for_backward(entered if ctx.keeps_entered else x, delta, rows, columns, weight)
        ctx.shared_bias = bias.ndim == 1
        y = multiply(x, weight, bias) if bias.ndim == 1 else multiply(x, weight).add_(bias[:, None])
        return y.scatter_add_(2, rows.expand(-1, x.shape[1], -1), entered * delta[:, None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Compute the gradients of x, delta and the bias, each of its shape."""
        gradient = gradients[0].contiguous()  # [runs, tokens, out]
        kept, delta, rows, columns, weight = ctx.saved_tensors
        arrived = _read_columns(rows, gradient)  # [runs, tokens, elements]
        # dL/dW[row, column] = sum over tokens of gradient[row] * x[column]: worked out for the selected elements alone.
        to_delta = (arrived * (kept if ctx.keeps_entered else _read_columns(columns, kept))).sum(1)
        to_bias = gradient.sum((0, 1) if ctx.shared_bias else 1) if ctx.needs_input_grad[4] else None
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = multiply(gradient, weight.T).scatter_add_(
                2, columns.expand(-1, gradient.shape[1], -1), arrived.mul_(delta[:, None])
            )
        return to_x, to_delta, None, None, to_bias


class _PatchedLinear(torch.autograd.Function):
    """One run's y[t] = P x[t] + b, where P is W with the selected elements replaced: a plain product each way."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, value: Tensor, patched: Tensor, positions: ElementPositions, bias: Tensor
    ) -> Tensor:
        """Compute y [1, tokens, out]."""
        # Written into the run's own copy at every step: the rest of it never changes, so a step costs its elements alone.
        patched.put_(positions.index, value.to(patched.dtype))
        ctx.keeps_entered = positions.columns.shape[2] <= x.shape[2]
        ctx.save_for_backward(_read_columns(positions.columns, x) if ctx.keeps_entered else x, patched)
        ctx.positions, ctx.precision = positions, value.dtype
        return multiply(x, patched, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Compute the gradients of x, of the elements and of the bias, each of its shape."""
        gradient = gradients[0].contiguous()  # [1, tokens, out]
        kept, patched = ctx.saved_tensors
        entered = kept if ctx.keeps_entered else _read_columns(ctx.positions.columns, kept)  # [1, tokens, elements]
        to_value = _read_columns(ctx.positions.rows, gradient).mul_(entered).sum(1, dtype=ctx.precision)
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


def patched_linear(x: Tensor, value: Tensor, patched: Tensor, positions: ElementPositions, bias: Tensor) -> Tensor:
    """Do for one run, `x` [1, tokens, in], what `sparse_linear` does, with a weight `patched` [out, in] of its own.

    `value` [1, elements] is written to it; elsewhere it equals the shared weight. `bias` [out].
    """
    result: Tensor = _PatchedLinear.apply(x, value, patched, positions, bias.to(x.dtype))
    return result


def _read_columns(columns: Tensor, x: Tensor) -> Tensor:
    """Read columns [runs, 1, elements] of every token of x [runs, tokens, width]: [runs, tokens, elements]."""
    return x.gather(2, columns.expand(-1, x.shape[1], -1))
