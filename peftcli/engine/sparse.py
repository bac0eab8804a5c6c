"""A linear layer of which each run trains a few elements: the dense gradient is never formed, nor a cohort's own weights.

Shapes: x [runs, tokens, in], y [runs, tokens, out], weight [out, in], elements [runs, elements] in the flat weight: element k is
in row `index // in` (an output) and column `index % in` (an input).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peftcli.data.examples import Array
from peftcli.engine.matmul import multiply
from peftcli.engine.passes import Passes, arrange
from peftcli.engine.transfer import move


@dataclass(frozen=True)
class ElementPositions:
    """A weight's selected elements: `index` [1, elements] in the flat weight, `rows` and `columns` [1, 1, elements]."""

    index: Tensor
    rows: Tensor
    columns: Tensor


@dataclass(frozen=True)
class SparseElements:
    """A weight's selected elements of every run, in the orders that they are added in: to outputs by row, to inputs by column.

    `columns` [runs, 1, ordered] are those of the elements in the order `by_row`, `rows` [runs, 1, ordered] those of the
    elements in the order `by_column`. `positions` [runs, elements] is where in `by_row` an element is, `dead` whether it
    is nowhere: such a slot adds nothing and has no gradient. `slots` and `gaps` are those of both orders side by side.
    """

    by_row: Passes
    by_column: Passes
    slots: Tensor
    gaps: Tensor
    columns: Tensor
    rows: Tensor
    positions: Tensor
    dead: Tensor

    def ordered(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The differences [runs, elements] in both orders, zero in the gaps: [runs, ordered] each."""
        both = delta.gather(1, self.slots).masked_fill_(self.gaps, 0)
        by_row = self.by_row.slots.shape[1]
        return both[:, :by_row], both[:, by_row:]


def sparse_elements(index: Array, weight: Tensor) -> SparseElements:
    """The elements at `index` [runs, elements] of a flat weight [out, in]; one past its end is a dead slot."""
    outputs, inputs = weight.shape
    live = index < outputs * inputs
    rows, columns = index // inputs, index % inputs
    by_row, by_column = (arrange(of_elements, live, weight.device, weight.dtype) for of_elements in (rows, columns))
    at_row, at_column = by_row.slots.cpu().numpy(), by_column.slots.cpu().numpy()
    positions = np.zeros(index.shape, np.int64)
    run, position = np.nonzero(~by_row.gaps.cpu().numpy())
    positions[run, at_row[run, position]] = position
    arrays = {
        # A gap in an order reads any column: it weighs nothing.
        "columns": np.take_along_axis(columns, at_row, 1)[:, None],
        "rows": np.minimum(np.take_along_axis(rows, at_column, 1), outputs - 1)[:, None],
        "positions": positions,
        "dead": ~live,
    }
    slots, gaps = torch.cat([by_row.slots, by_column.slots], 1), torch.cat([by_row.gaps, by_column.gaps], 1)
    return SparseElements(by_row, by_column, slots, gaps, **move(arrays, weight.device))


_Gradients = tuple[Tensor | None, Tensor | None, None, None, Tensor | None]


class _SparseLinear(torch.autograd.Function):
    """y[r, t] = W x[r, t] + b[r], and y[r, t, row_k] += x[r, t, column_k] * delta[r, k] for every selected element k."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, elements: SparseElements, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute y [runs, tokens, out]."""
        columns = elements.columns
        entered = _read_columns(columns, x)  # [runs, tokens, ordered]
        # The gradient of delta needs only what entered: kept in the place of x, where that is the smaller of the two.
        ctx.keeps_entered = columns.shape[2] <= x.shape[2]
        by_row, by_column = elements.ordered(delta.to(x.dtype))
        ctx.save_for_backward(entered if ctx.keeps_entered else x, by_column, weight)
        ctx.elements, ctx.shared_bias, ctx.precisions = elements, bias.ndim == 1, (delta.dtype, bias.dtype)
        bias = bias.to(x.dtype)
        y = multiply(x, weight, bias) if bias.ndim == 1 else multiply(x, weight).add_(bias[:, None])
        return elements.by_row.add(y, entered * by_row[:, None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        """Compute the gradients of x, delta and the bias, each of its shape."""
        gradient = gradients[0].contiguous()  # [runs, tokens, out]
        kept, by_column, weight = ctx.saved_tensors
        of_delta, of_bias = ctx.precisions  # of what is trained: sums over tokens are not rounded to less
        elements: SparseElements = ctx.elements
        entered = kept if ctx.keeps_entered else _read_columns(elements.columns, kept)
        # dL/dW[row, column] = sum over tokens of gradient[row] * x[column]: worked out for the selected elements alone.
        ordered = _read_columns(elements.by_row.columns, gradient).mul_(entered).sum(1, dtype=of_delta)
        to_delta = ordered.gather(1, elements.positions).masked_fill_(elements.dead, 0)
        over = (0, 1) if ctx.shared_bias else 1
        to_bias = gradient.sum(over, dtype=of_bias) if ctx.needs_input_grad[4] else None
        to_x = None
        if ctx.needs_input_grad[0]:
            arrived = _read_columns(elements.rows, gradient).mul_(by_column[:, None])
            to_x = elements.by_column.add(multiply(gradient, weight.T), arrived)
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


def sparse_linear(x: Tensor, weight: Tensor, bias: Tensor, delta: Tensor, elements: SparseElements) -> Tensor:
    """Multiply x [runs, tokens, in] by the shared frozen weight [out, in] with each run's few differences added.

    `delta` [runs, elements] are the differences at `elements`; `bias` [out] or, where it is trained, [runs, out]. The
    gradient of `delta` comes by gathering the selected rows and columns.
    """
    result: Tensor = _SparseLinear.apply(x, delta, elements, weight, bias)
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
