"""DeBERTa's attention by relative positions: gradients are added up in a fixed order, positions worked out on the processor.

Far positions share a bucket, so that several scores read one number, whose gradient is their sum: on a GPU torch adds it up in an
order that differs from run to run.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.models.deberta_v2.modeling_deberta_v2 import (
    DebertaV2Encoder,
    DisentangledSelfAttention,
    build_relative_position,
    scaled_size_sqrt,
)

from peftcli.engine.transfer import move


@dataclass(frozen=True)
class Buckets:
    """Which bucket each pair of positions reads: `index` [queries * keys], in a row of all queries' buckets [queries * buckets].

    `passes` are the pairs in an order in which each pass has no bucket twice: the first pair of every bucket, the second
    one, and so on. None where one pass has them all.
    """

    index: Tensor
    passes: tuple[Tensor, ...] | None


class _ReadBuckets(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, buckets: Buckets) -> Tensor:
        """Read scores [batch, queries * buckets] for every pair: [batch, queries * keys]."""
        ctx.buckets, ctx.width = buckets, scores.shape[1]
        return scores.gather(1, buckets.index.expand(len(scores), -1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Compute the gradient of the scores, [batch, queries * buckets]."""
        gradient, buckets = gradients[0], ctx.buckets
        total = gradient.new_zeros(len(gradient), ctx.width)
        if buckets.passes is None:
            return total.scatter_add_(1, buckets.index.expand(len(gradient), -1), gradient), None
        for pairs in buckets.passes:
            target = buckets.index.index_select(0, pairs).expand(len(gradient), -1)
            total.scatter_add_(1, target, gradient.index_select(1, pairs))
        return total, None


class OrderedEncoder(DebertaV2Encoder):  # type: ignore[misc]  # transformers has no types
    """The encoder with relative positions from the processor: worked out on a GPU they would make it wait."""

    def get_rel_pos(self, hidden_states: Tensor, query_states: Tensor | None = None, relative_pos: Any = None) -> Any:
        """The relative positions [1, queries, keys], where this model has any."""
        if not self.relative_attention:
            return None
        size = hidden_states.shape[-2]
        positions = _relative_positions(size, self.position_buckets, self.max_relative_positions)
        return _moved(positions, hidden_states.device)


class OrderedAttention(DisentangledSelfAttention):  # type: ignore[misc]
    """The attention with sums in a fixed order."""

    def disentangled_attention_bias(
        self, query_layer: Tensor, key_layer: Tensor, relative_pos: Tensor, rel_embeddings: Tensor, scale_factor: int
    ) -> Tensor | int:
        """What relative positions add to the scores, [batch * heads, queries, keys]."""
        size, span = query_layer.shape[1], self.pos_ebd_size
        embeddings = rel_embeddings[None, : 2 * span]
        score: Tensor | int = 0
        for kind, content in (("c2p", query_layer), ("p2c", key_layer)):
            if kind not in self.pos_att_type:
                continue
            shared, apart = ("key_proj", "pos_key_proj") if kind == "c2p" else ("query_proj", "pos_query_proj")
            projection = getattr(self, shared if self.share_att_key else apart)
            heads = self.transpose_for_scores(projection(embeddings), self.num_attention_heads)
            position = heads.repeat(len(content) // self.num_attention_heads, 1, 1)  # [batch * heads, 2 * span, width]
            toward = 1 if kind == "c2p" else -1
            buckets = _buckets(size, self.position_buckets, self.max_relative_positions, span, toward, content.device)
            scores = torch.bmm(content, position.mT)  # [batch * heads, positions, 2 * span]
            read: Tensor = _ReadBuckets.apply(scores.flatten(1), buckets)
            read = read.view(-1, size, size) if kind == "c2p" else read.view(-1, size, size).mT
            score = score + read / scaled_size_sqrt(position, scale_factor).to(dtype=scores.dtype)
        return score


def order_sums(model: nn.Module) -> None:
    """Have a DeBERTa's layers add in a fixed order, in place."""
    kinds: dict[type, type] = {DebertaV2Encoder: OrderedEncoder, DisentangledSelfAttention: OrderedAttention}
    for module in model.modules():
        module.__class__ = kinds.get(type(module), type(module))


@lru_cache(maxsize=64)
def _relative_positions(size: int, bucket_size: int, most: int) -> Tensor:
    """Relative positions [1, size, size] on the processor, as the model's own function has them."""
    like = torch.empty(size, 0)
    positions: Tensor = build_relative_position(like, like, bucket_size=bucket_size, max_position=most)
    return positions


@lru_cache(maxsize=64)
def _buckets(size: int, bucket_size: int, most: int, span: int, toward: int, device: torch.device) -> Buckets:
    """The buckets of sequences of `size` tokens; `toward` is 1 where keys are looked at from queries, -1 the other way."""
    relative = _relative_positions(size, bucket_size, most)[0].numpy()
    bucket = np.clip(toward * relative + span, 0, 2 * span - 1)
    index = (np.arange(size)[:, None] * 2 * span + bucket).reshape(-1)
    order = np.argsort(index, kind="stable")
    _, first, counts = np.unique(index[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, counts)
    passes = {f"pass {number}": np.sort(order[rank == number]) for number in range(int(counts.max()))}
    moved = move({"index": index, **(passes if len(passes) > 1 else {})}, device)
    return Buckets(moved["index"], tuple(moved[name] for name in passes) if len(passes) > 1 else None)


@lru_cache(maxsize=64)
def _moved(positions: Tensor, device: torch.device) -> Tensor:
    return move({"positions": positions.numpy()}, device)["positions"]
