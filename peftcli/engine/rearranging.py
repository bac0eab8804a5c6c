"""Rows read by an index whose inverse is known: the gradient is read by the inverse, where torch would add it up row by row."""

from typing import Any

import torch
from torch import Tensor


class _Rearrange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        """Read rows of x [rows, width] at index [read]: [read, width]."""
        ctx.save_for_backward(inverse)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Compute the gradient of x, [rows, width]."""
        (inverse,) = ctx.saved_tensors
        return gradients[0].index_select(0, inverse), None, None


def rearrange(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """Read rows of x [rows, width] at `index` [read]; `inverse` [rows] says where each row was read.

    A row that was read nowhere is told of one that gets no gradient; of rows read more than once only that one may get any.
    """
    result: Tensor = _Rearrange.apply(x, index, inverse)
    return result
