"""The product with a few elements of a weight matrix, forming neither the matrix nor its dense gradient."""

from typing import Any

import torch
from torch import Tensor


class _ElementsProduct(torch.autograd.Function):
    """y[r, :, row_k] += x[r, :, column_k] * delta[r, k], for every selected element k of every run r."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, index: Tensor, out_features: int) -> Tensor:
        rows, columns = index // x.shape[-1], index % x.shape[-1]
        ctx.save_for_backward(x, delta, rows, columns)
        picked = _columns(x, columns).mul_(delta[..., None])
        y = x.new_zeros(x.shape[0], out_features + 1, x.shape[1])  # one more row, where dead slots point
        return _add_rows(y, rows, picked)[:, :-1].mT.contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, delta, rows, columns = ctx.saved_tensors
        gradient = gradients[0]
        arrived = _columns(gradient, rows.clamp(max=gradient.shape[-1] - 1))
        to_delta = (arrived * _columns(x, columns)).sum(-1) * (rows < gradient.shape[-1])
        to_x = None
        if ctx.needs_input_grad[0]:
            flat = x.new_zeros(x.shape[0], x.shape[-1], x.shape[1])
            to_x = _add_rows(flat, columns, arrived.mul_(delta[..., None])).mT
        return to_x, to_delta, None, None


def elements_product(x: Tensor, delta: Tensor, index: Tensor, out_features: int) -> Tensor:
    """Multiply [runs, tokens, in] by a matrix that is `delta` [runs, elements] at `index` and zero elsewhere.

    `index` [runs, elements] counts through the flat [out, in] matrix; out · in marks a dead slot. Gives
    [runs, tokens, out]. Gradients come by gathering the selected rows and columns.
    """
    result: Tensor = _ElementsProduct.apply(x, delta.to(x.dtype), index, out_features)  # type: ignore[no-untyped-call]
    return result


def _columns(x: Tensor, chosen: Tensor) -> Tensor:
    """Copy chosen channels, [runs, tokens, channels] to [runs, elements, tokens]: contiguous rows of the transpose."""
    runs, _, channels = x.shape
    offsets = torch.arange(runs, device=x.device)[:, None] * channels
    flat = x.mT.reshape(runs * channels, -1)
    return flat.index_select(0, (chosen + offsets).reshape(-1)).view(runs, chosen.shape[1], -1)


def _add_rows(y: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """Add [runs, elements, tokens] onto the chosen rows of y [runs, rows, tokens], in place."""
    runs, height, tokens = y.shape
    offsets = torch.arange(runs, device=y.device)[:, None] * height
    y.view(runs * height, tokens).index_add_(0, (rows + offsets).reshape(-1), values.reshape(-1, tokens))
    return y
