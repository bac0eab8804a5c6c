"""A process's slice of every run's batch, where several processes train one cohort.

A slice is a stretch of the run's whole batch, and knows what lies in front of it, so that dropout falls on the same
tokens as in one process; losses are divided by what the whole batch has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from peftcli import noise
from peftcli.batches import Batch, Whole, build
from peftcli.examples import Array, Examples


@dataclass(frozen=True)
class _Cut:
    """One run's slice: the examples to compute (one that does not count, where there is none), and what is around it."""

    picked: Array
    counted: bool
    places: int
    tokens_before: int
    places_before: int
    tokens: int


def batch(
    parts: Sequence[tuple[Examples, Array]], rank: int, size: int, first_position: int, device: torch.device
) -> Batch:
    """Lay out the slices of one of `size` processes of each run's chosen examples."""
    cuts = [_cut(examples, picked, rank, size) for examples, picked in parts]
    built = build([(examples, c.picked) for (examples, _), c in zip(parts, cuts, strict=True)], first_position, device)
    kept = torch.tensor([float(c.counted) for c in cuts], device=device)
    whole = Whole(
        counts=torch.tensor([c.places for c in cuts], device=device),
        tokens=sum(c.tokens for c in cuts),
        slots=sum(_slots(parts, other, size) for other in range(size)),
        tokens_before=torch.tensor([c.tokens_before for c in cuts], dtype=torch.int32, device=device),
        places_before=torch.tensor([c.places_before for c in cuts], dtype=torch.int32, device=device),
    )
    return replace(built, present=built.present * kept[:, None], whole=whole)


def shifted(key: Tensor, name: str, whole: Whole, heads: int | None) -> Tensor:
    """Give a dropout's keys [runs] for a slice, so that its first token draws what it draws in the whole batch.

    A counter enters a key by a product, so a key can start further on. `heads`: attention counts tokens times heads.
    Dropout in the head counts places. Layers that run repeatedly, and models that run padded, draw otherwise.
    """
    before = whole.places_before if name.startswith("head.") else whole.tokens_before * (heads or 1)
    return noise.ahead(key, before)


def _cut(examples: Examples, picked: Array, rank: int, size: int) -> _Cut:
    edges = [len(picked) * at // size for at in range(size + 1)]
    own, before = picked[edges[rank] : edges[rank + 1]], picked[: edges[rank]]
    return _Cut(
        own if len(own) else picked[:1],
        len(own) > 0,
        _places(examples, picked),
        _tokens(examples, before),
        _places(examples, before),
        _tokens(examples, picked),
    )


def _slots(parts: Sequence[tuple[Examples, Array]], rank: int, size: int) -> int:
    """How many tokens a process computes at a step, those that fill up shorter runs included."""
    return len(parts) * max(_tokens(examples, _own(picked, rank, size)) for examples, picked in parts)


def _own(picked: Array, rank: int, size: int) -> Array:
    own = picked[len(picked) * rank // size : len(picked) * (rank + 1) // size]
    return own if len(own) else picked[:1]


def _tokens(examples: Examples, picked: Array) -> int:
    lengths = np.add.reduceat(examples.lengths, np.arange(0, len(examples.lengths), examples.group))
    return int(lengths[picked].sum())


def _places(examples: Examples, picked: Array) -> int:
    """How many places of these examples are read with a loss each: themselves, or their words."""
    return len(picked) if examples.word_starts is None else int(np.diff(examples.word_starts)[picked].sum())
