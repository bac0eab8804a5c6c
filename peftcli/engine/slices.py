"""A process's slice of every run's batch, where several processes train one cohort.

A slice is a stretch of the run's whole batch, and knows what lies in front of it, so that dropout falls on the same
tokens as in one process (in an encoder that runs padded, the mask depends on the number of processes); losses are divided by
what the whole batch has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from peftcli.data.examples import Array, Examples
from peftcli.engine.batches import Batch, Whole, build


@dataclass(frozen=True)
class _Cut:
    """One run's slice: the examples to compute (one that does not count, where there is none), and what is around it."""

    picked: Array
    counted: bool
    losses: int
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
        counts=torch.tensor([c.losses for c in cuts], device=device),
        tokens=sum(c.tokens for c in cuts),
        slots=sum(_slots(parts, other, size) for other in range(size)),
        tokens_before=torch.tensor([c.tokens_before for c in cuts], dtype=torch.int32, device=device),
        places_before=torch.tensor([c.places_before for c in cuts], dtype=torch.int32, device=device),
    )
    return replace(built, present=built.present * kept[:, None], whole=whole)


def _cut(examples: Examples, picked: Array, rank: int, size: int) -> _Cut:
    edges = [len(picked) * at // size for at in range(size + 1)]
    own, before = picked[edges[rank] : edges[rank + 1]], picked[: edges[rank]]
    return _Cut(
        own if len(own) else picked[:1],
        len(own) > 0,
        _losses(examples, picked),
        _tokens(examples, before),
        _losses(examples, before) * examples.group,
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


def _losses(examples: Examples, picked: Array) -> int:
    """How many losses these examples have: one each, or one a word."""
    return len(picked) if examples.word_starts is None else int(np.diff(examples.word_starts)[picked].sum())
