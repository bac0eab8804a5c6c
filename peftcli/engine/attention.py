"""Attention on a stream: queries, keys and values are laid out in a grid for the moment, and stay inside their sequence."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftcli import noise
from peftcli.engine.dropout import RunDropout, attention_dropout, drop
from peftcli.engine.rearranging import rearrange
from peftcli.engine.streams import Layout

ATTENTION = "peftcli_streams"


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
    queries, keys, values = (_to_grid(x, layout) for x in (query, key, value))  # [runs * batch, heads, longest, width]
    dropout = attention_dropout(module)
    if isinstance(dropout, RunDropout) and dropout.key.numel() and dropout.p:
        # torch's attention draws its dropout from a random state of its own; ours hashes, so softmax is written out.
        probabilities = _scores(queries, keys, layout.mask, scaling).softmax(-1)
        # Noise for a row of probabilities is a hash of (run, query token, head): [runs * batch, heads, longest].
        token = dropout.draw().flatten().index_select(0, layout.to_grid).view(-1, 1, layout.longest)
        rows = token * noise.odd(heads, noise.HEAD, token.device)[:, None]
        attended = drop(probabilities, rows, dropout.p) @ values
    else:
        attended = F.scaled_dot_product_attention(queries, keys, values, layout.mask, scale=scaling)
    flat = attended.transpose(1, 2).reshape(-1, heads * width)
    return flat.index_select(0, layout.to_stream).view(runs, tokens, heads * width), None


def _to_grid(x: Tensor, layout: Layout) -> Tensor:
    """Lay tokens out in the grid: [runs, heads, tokens, width] to [runs * batch, heads, longest, width]."""
    _, heads, _, width = x.shape
    flat = rearrange(x.transpose(1, 2).reshape(-1, heads * width), layout.to_grid, layout.to_stream)
    return flat.view(-1, layout.longest, heads, width).transpose(1, 2)


def _scores(query: Tensor, key: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """Scaled products of queries and keys, -inf where there is no key: [runs * batch, heads, longest, longest].

    The mask is what the product is added to, so that the largest tensor of a layer is written once, not three times.
    """
    batch, heads, longest, _ = query.shape
    absent = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, float("-inf"))
    absent = absent.expand(-1, heads, -1, -1).reshape(batch * heads, 1, longest)
    products = torch.baddbmm(absent, query.flatten(0, 1), key.flatten(0, 1).mT, alpha=scaling)
    return products.view(batch, heads, longest, longest)
