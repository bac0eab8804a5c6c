"""DeBERTa's attention by relative positions: gradients are added up in a fixed order, positions worked out on the processor.

Far positions share a bucket, so that several scores read one number, whose gradient is their sum: on a GPU torch adds it up in an
order that differs from run to run. Streams go through it in `relative`; here
is what they share with padded grids, and the way of those.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.models.deberta_v2.modeling_deberta_v2 import (
    DebertaV2Encoder,
    DisentangledSelfAttention,
    build_relative_position,
    scaled_size_sqrt,
)

from peftcli.engine.transfer import move

# Scores of a query by how far a key is (content to position), and of a key by how far a query is.
Kind = Literal["c2p", "p2c"]
# What projects relative positions for the scores of a kind: what projects tokens too, or a layer of their own.
PROJECTIONS: dict[Kind, tuple[str, str]] = {
    "c2p": ("key_proj", "pos_key_proj"),
    "p2c": ("query_proj", "pos_query_proj"),
}


@dataclass(frozen=True)
class Distances:
    """How a model tells relative positions apart: `span` either way, in buckets by their logarithm if `buckets` > 0.

    `most` is the distance from which on all are one.
    """

    buckets: int
    most: int
    span: int

    @classmethod
    def of(cls, attention: Any) -> "Distances":
        """Those of an attention module."""
        return cls(attention.position_buckets, attention.max_relative_positions, attention.pos_ebd_size)

    def within(self, size: int) -> range:
        """The rows that sequences of at most `size` tokens read, either way."""
        numbers = [self.row(_relative_positions(size, self)), self.row(-_relative_positions(size, self))]
        return range(int(np.min(numbers)), int(np.max(numbers)) + 1)

    def row(self, relative: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each relative position, of any shape."""
        return np.clip(relative + self.span, 0, 2 * self.span - 1)


@dataclass(frozen=True)
class Buckets:
    """Which bucket each pair of positions reads, [queries, keys], and in which passes their gradients are added up.

    `passes` are pairs [queries * keys] in an order in which each pass has no bucket of a position twice: the first pair of
    every bucket, the second one, and so on. None where one pass has them all.
    """

    kind: Kind
    numbers: Tensor
    passes: tuple[Tensor, ...] | None


class _ReadScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, index: Tensor, passes: tuple[Tensor, ...] | None) -> Tensor:
        """Read scores [groups, heads, positions * rows] for every pair: [groups, heads, sequences * queries * keys]."""
        ctx.save_for_backward(index)
        ctx.width, ctx.passes = scores.shape[2], passes
        return scores.gather(2, index.flatten(2).expand(*scores.shape[:2], -1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Compute the gradient of the scores, [groups, heads, positions * rows]."""
        (index,), gradient = ctx.saved_tensors, gradients[0]
        shape = gradient.shape[:2]
        total = gradient.new_zeros(*shape, ctx.width)
        if ctx.passes is None:
            return total.scatter_add_(2, index.flatten(2).expand(*shape, -1), gradient), None, None
        by_pair = gradient.view(*shape, *index.shape[2:])
        for pairs in ctx.passes:
            target = index.index_select(3, pairs).flatten(2).expand(*shape, -1)
            total.scatter_add_(2, target, by_pair.index_select(3, pairs).flatten(2))
        return total, None, None


def read_scores(scores: Tensor, buckets: Buckets, positions: Tensor) -> Tensor:
    """Read scores by distance [groups, heads, positions, rows] for every pair: [groups * heads * sequences, queries, keys].

    `positions` [groups or 1, sequences, size] says where in the scores each token is of the sequences, all of one size.
    """
    of_content = positions[..., None] if buckets.kind == "c2p" else positions[..., None, :]
    index = of_content * scores.shape[3] + buckets.numbers  # [groups or 1, sequences, queries, keys]
    read: Tensor = _ReadScores.apply(scores.flatten(2), index.flatten(2)[:, None], buckets.passes)
    return read.view(-1, *buckets.numbers.shape)


class OrderedEncoder(DebertaV2Encoder):  # type: ignore[misc]  # transformers has no types
    """The encoder without relative positions worked out on a GPU, for which it would wait."""

    def get_rel_pos(self, *_: Any) -> None:
        """No tensor of positions: the attention looks them up itself."""


class OrderedAttention(DisentangledSelfAttention):  # type: ignore[misc]
    """The attention with sums in a fixed order."""

    def disentangled_attention_bias(
        self, query_layer: Tensor, key_layer: Tensor, relative_pos: Any, rel_embeddings: Tensor, scale_factor: int
    ) -> Tensor | int:
        """What relative positions add to the scores, [batch * heads, queries, keys]."""
        distances, size = Distances.of(self), query_layer.shape[1]
        rows = distances.within(size)
        positions = torch.arange(size, device=query_layer.device)[None, None]
        score: Tensor | int = 0
        contents: dict[Kind, Tensor] = {"c2p": query_layer, "p2c": key_layer}
        for kind, (shared, apart) in PROJECTIONS.items():
            if kind not in self.pos_att_type:
                continue
            content = contents[kind]
            projection = getattr(self, shared if self.share_att_key else apart)
            heads = self.transpose_for_scores(projection(rel_embeddings)[None], self.num_attention_heads)
            within = heads[:, rows.start : rows.stop].repeat(len(content) // len(heads), 1, 1)
            scores = torch.bmm(content, within.mT)[:, None]  # [batch * heads, 1, size, rows]
            read = read_scores(scores, buckets(kind, size, distances, content.device), positions)
            score = score + read / scaled_size_sqrt(within, scale_factor).to(dtype=read.dtype)
        return score


@lru_cache(maxsize=64)
def _relative_positions(size: int, distances: Distances) -> NDArray[np.int64]:
    """Relative positions [queries, keys], as the model's own function has them."""
    like = torch.empty(size, 0)
    positions: Tensor = build_relative_position(like, like, distances.buckets, distances.most)
    return positions[0].numpy()


@lru_cache(maxsize=64)
def buckets(kind: Kind, size: int, distances: Distances, device: torch.device) -> Buckets:
    """What sequences of `size` tokens read of scores for the rows that are within their reach."""
    rows = distances.within(size)
    # From a query (c2p) a key is as far as the query is behind it; from a key (p2c) the query as far as the key is before it.
    relative = _relative_positions(size, distances)
    relative = relative if kind == "c2p" else -relative.T
    numbers = distances.row(relative) - rows.start
    position = np.arange(size)
    index = ((position[:, None] if kind == "c2p" else position) * len(rows) + numbers).reshape(-1)
    order = np.argsort(index, kind="stable")
    _, first, counts = np.unique(index[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, counts)
    passes = {f"pass {number}": np.sort(order[rank == number]) for number in range(int(counts.max()))}
    moved = move({"numbers": numbers, **(passes if len(passes) > 1 else {})}, device)
    return Buckets(kind, moved["numbers"], tuple(moved[name] for name in passes) if len(passes) > 1 else None)
