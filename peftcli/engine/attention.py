"""Attention on a stream: queries, keys and values are laid out in a grid for the moment, and stay inside their sequence."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from peftcli import noise
from peftcli.engine.dropout import RunDropout, attention_dropout, drop
from peftcli.engine.rearranging import rearrange
from peftcli.engine.streams import Layout
from peftcli.engine.views import WHOLE, View, Windows, views

ATTENTION = "peftcli_streams"


@dataclass(frozen=True)
class Grid:
    """A batch's layout in terms of heads, worked out once for all layers; rows are of one token and head, [width] each.

    `to_grid` [runs * batch * heads * longest]: the row of the stream in each row of the grid. `to_stream`
    [runs * tokens * heads]: the row of the grid that each row of the stream is in. `empty`
    [runs * batch, 1, longest, 1]: where a cell holds no token. `views` by the window of a layer, in tokens; None where a
    layer sees everything.
    """

    layout: Layout
    heads: int
    to_grid: Tensor
    to_stream: Tensor
    empty: Tensor
    views: Mapping[int | None, View]


def grid_of(layout: Layout, heads: int, dtype: torch.dtype, windows: Windows = WHOLE) -> Grid:
    """The grid of a layout for attention with this many heads that computes in `dtype`."""
    to_grid, to_stream = layout.to_grid, layout.to_stream
    # All sizes are those of one tensor, so that a compiler that leaves them open has two of them, and no quotients.
    batch, longest = layout.mask.shape[0], layout.mask.shape[-1]  # of all runs
    device = to_grid.device
    head = torch.arange(heads, device=device)
    first = to_stream // longest * ((heads - 1) * longest) + to_stream  # the grid's row of a token's first head
    # A cell holds a token where that token is in this very cell.
    empty = to_stream.index_select(0, to_grid) != torch.arange(batch * longest, device=device)
    return Grid(
        layout,
        heads,
        (to_grid.view(batch, 1, longest) * heads + head[:, None]).flatten(),
        (first[:, None] + head * longest).flatten(),
        empty.view(batch, 1, longest, 1),
        views(layout, heads, dtype, windows),
    )


class _ToStream(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, to_stream: Tensor, to_grid: Tensor, empty: Tensor) -> Tensor:
        """Read rows of the grid [rows, width] in the order of the stream."""
        ctx.save_for_backward(to_grid, empty)
        return rows.index_select(0, to_stream)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Lay the gradients out in the grid, zero where there is no token."""
        to_grid, empty = ctx.saved_tensors
        laid = gradients[0].index_select(0, to_grid)
        laid.view(len(empty), -1, empty.shape[2], laid.shape[1]).masked_fill_(empty, 0)
        return laid, None, None, None


def stream_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    grid: Grid | None = None,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attend inside each sequence: query, key, value [runs, heads, tokens, width] to [runs, tokens, heads, width].

    Keys and values may have fewer heads, each for several heads of queries. Registered with transformers under `ATTENTION`;
    the grid comes as a keyword through the model's forward.
    """
    assert grid is not None, "stream attention needs the grid of its stream"
    runs, heads, width = query.shape[0], query.shape[1], query.shape[3]
    assert heads == grid.heads
    view = grid.views[sliding_window]
    key, value = (shared_heads(x, heads) for x in (key, value))
    scaling = width**-0.5 if scaling is None else scaling
    queries, keys, values = (into_grid(x, grid) for x in (query, key, value))  # [runs * batch * heads, longest, width]
    dropout = attention_dropout(module)
    if not isinstance(dropout, RunDropout) or not dropout.key.numel() or not dropout.p:
        dropout = None
    if dropout is not None or (query.device.type != "cpu" and any(x.requires_grad for x in (query, key, value))):
        attended = _attend(queries, keys, values, grid, view, scaling, dropout)
    else:
        attended = _attend_at_once(queries, keys, values, grid, view, scaling)
    return out_of_grid(attended, grid, runs), None


def shared_heads(x: Tensor, heads: int) -> Tensor:
    """Keys or values [runs, fewer heads, tokens, width] for `heads` heads of queries, each the same for several in a row."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1, output_size=heads)


def into_grid(x: Tensor, grid: Grid) -> Tensor:
    """Lay tokens out in the grid: [runs, heads, tokens, width] to [runs * batch * heads, longest, width]."""
    width = x.shape[-1]
    # Gradients are gathered too: what fills up a shorter run is in a cell without a token, where none arrives.
    rows = rearrange(x.transpose(1, 2).reshape(-1, width), grid.to_grid, grid.to_stream)
    return rows.view(grid.layout.mask.shape[0] * grid.heads, grid.layout.mask.shape[-1], width)


def out_of_grid(x: Tensor, grid: Grid, runs: int) -> Tensor:
    """Read the grid in the order of the stream: [runs * batch * heads, longest, width] to [runs, tokens, heads, width]."""
    rows: Tensor = _ToStream.apply(x.reshape(-1, x.shape[-1]), grid.to_stream, grid.to_grid, grid.empty)
    return rows.view(runs, -1, grid.heads, x.shape[-1])


def _attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    grid: Grid,
    view: View,
    scaling: float,
    dropout: RunDropout | None,
) -> Tensor:
    """Attention written out, [runs * batch * heads, longest, width] each.

    torch's own draws dropout from a random state, and on a GPU adds gradients up in an open order; this hashes, and is products
    alone, whose order is fixed.
    """
    # What is hidden is what the product is added to, so that the largest tensor of a layer is written once, not three times.
    scores = torch.baddbmm(view.hidden, queries, keys.mT, alpha=scaling)  # [runs * batch * heads, longest, longest]
    probabilities = scores.softmax(-1)
    if dropout is not None:
        # Noise for a row of probabilities is a hash of (run, query token, head): [runs * batch, heads, longest].
        token = dropout.draw().flatten().index_select(0, grid.layout.to_grid).view(-1, 1, queries.shape[1])
        rows = token * noise.odd(grid.heads, noise.HEAD, token.device)[:, None]
        probabilities = drop(probabilities, rows.view(scores.shape[:2]), dropout.p)
    return probabilities @ values


def _attend_at_once(queries: Tensor, keys: Tensor, values: Tensor, grid: Grid, view: View, scaling: float) -> Tensor:
    """Attention by torch's own function, without dropout, [runs * batch * heads, longest, width] each."""
    shape = (-1, grid.heads, *queries.shape[1:])
    queries, keys, values = (x.view(shape) for x in (queries, keys, values))
    # Of its kernels for GPUs, those whose forward pass adds up in a fixed order: cuDNN's may not.
    fixed = sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])
    with contextlib.nullcontext() if queries.device.type == "cpu" else fixed:
        return F.scaled_dot_product_attention(queries, keys, values, view.mask, scale=scaling)
