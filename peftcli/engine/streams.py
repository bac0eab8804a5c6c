"""Streams: each run's sequences laid end to end without padding, `[runs, tokens]`, and attention that stays inside a sequence."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftcli import noise
from peftcli.data.examples import Array, Examples, pieces
from peftcli.engine.dropout import RunDropout, attention_dropout, drop

ATTENTION = "peftcli_streams"


@dataclass(frozen=True)
class Layout:
    """Where each token of a stream sits in the padded grid that attention needs, counting through all runs.

    `to_grid` [runs * batch * longest]: the token in a cell (any token where there is none). `to_stream` [runs * tokens]:
    a token's cell. `mask` [runs * batch, 1, 1, longest]: True where a cell holds a token. `longest` counts tokens.
    """

    to_grid: Tensor
    to_stream: Tensor
    mask: Tensor
    longest: int


@dataclass(frozen=True)
class Stream:
    """One batch of each run: `ids`, `types` and `positions` [runs, tokens], sequence starts [runs, batch], and the layout.

    `tokens` is how many real ones there are in all runs together; the rest fills up the shorter runs.
    """

    ids: Tensor
    types: Tensor
    positions: Tensor
    first: Tensor
    layout: Layout
    tokens: int


def lay_out(batches: list[tuple[Examples, Array]], first_position: int, device: torch.device) -> Stream:
    """Lay out, for each run, the chosen sequences of its examples end to end.

    `first_position` is where the model's position ids start. A batch may be shorter than its neighbours': its absent
    sequences have one visible key, so that no softmax is over nothing.
    """
    runs, batch = len(batches), max(len(chosen) for _, chosen in batches)
    taken = [pieces(examples.starts, chosen) for examples, chosen in batches]
    tokens = max(int(starts[-1]) for _, starts in taken)
    longest = max(int(np.diff(starts).max()) for _, starts in taken)
    ids, types, positions = (np.zeros((runs, tokens), np.int64) for _ in range(3))
    to_stream, first = np.zeros((runs, tokens), np.int64), np.zeros((runs, batch), np.int64)
    to_grid = np.zeros((runs, batch, longest), np.int64)
    mask = np.zeros((runs, batch, longest), bool)
    mask[..., 0] = True
    for run, ((examples, _), (places, starts)) in enumerate(zip(batches, taken, strict=True)):
        count, lengths = len(places), np.diff(starts)
        ids[run, :count], types[run, :count] = examples.ids[places], examples.types[places]
        sequence = np.repeat(np.arange(len(lengths)), lengths)
        offset = np.arange(count) - starts[sequence]
        positions[run, :count] = offset
        to_stream[run] = run * batch * longest
        to_stream[run, :count] += sequence * longest + offset
        to_grid[run] = run * tokens
        to_grid[run, sequence, offset] += np.arange(count)
        mask[run, sequence, offset] = True
        first[run, : len(lengths)] = starts[:-1]
    positions += first_position
    moved = [torch.from_numpy(a).to(device, non_blocking=True) for a in (ids, types, positions, first)]
    layout = Layout(
        torch.from_numpy(to_grid.reshape(-1)).to(device),
        torch.from_numpy(to_stream.reshape(-1)).to(device),
        torch.from_numpy(mask.reshape(runs * batch, 1, 1, longest)).to(device),
        longest,
    )
    return Stream(moved[0], moved[1], moved[2], moved[3], layout, sum(len(places) for places, _ in taken))


def stream_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    layout: Layout | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attend inside each sequence: query, key, value [runs, heads, tokens, width] to [runs, tokens, heads · width].

    Registered with transformers under `ATTENTION`; the layout comes as a keyword through the model's forward.
    """
    assert layout is not None, "stream attention needs the layout of its stream"
    runs, heads, tokens, width = query.shape
    scaling = width**-0.5 if scaling is None else scaling
    queries, keys, values = (_to_grid(x, layout) for x in (query, key, value))
    dropout = attention_dropout(module)
    if isinstance(dropout, RunDropout) and dropout.key.numel() and dropout.p:
        shares = _scores(queries, keys, layout.mask, scaling).softmax(-1)
        attended = drop(shares, _rows(dropout, layout, heads), dropout.p) @ values
    else:
        attended = F.scaled_dot_product_attention(queries, keys, values, layout.mask, scale=scaling)
    flat = attended.transpose(1, 2).reshape(-1, heads * width)
    return flat.index_select(0, layout.to_stream).view(runs, tokens, heads * width), None


def _to_grid(x: Tensor, layout: Layout) -> Tensor:
    """[runs, heads, tokens, width] to [runs * batch, heads, longest, width]."""
    _, heads, _, width = x.shape
    flat = x.transpose(1, 2).reshape(-1, heads * width).index_select(0, layout.to_grid)
    return flat.view(-1, layout.longest, heads, width).transpose(1, 2)


def _scores(query: Tensor, key: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """Scaled products of queries and keys, -inf where there is no key: in one pass, since softmax is written out."""
    batch, heads, longest, _ = query.shape
    absent = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, float("-inf"))
    absent = absent.expand(-1, heads, -1, -1).reshape(batch * heads, 1, longest)
    products = torch.baddbmm(absent, query.flatten(0, 1), key.flatten(0, 1).mT, alpha=scaling)
    return products.view(batch, heads, longest, longest)


def _rows(dropout: RunDropout, layout: Layout, heads: int) -> Tensor:
    """Noise for attention's probabilities, [runs * batch, heads, longest]: a hash of (run, query token, head)."""
    token = dropout.draw().flatten().index_select(0, layout.to_grid).view(-1, 1, layout.longest)
    return token * noise.odd(heads, noise.HEAD, token.device)[:, None]
