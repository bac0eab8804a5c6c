"""Batches: which examples a run sees at which step, and what is read from a stream of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from peftcli.data.examples import Array, Examples, pieces
from peftcli.engine.lookup import Lookup
from peftcli.engine.streams import Stream, lay_out
from peftcli.engine.transfer import move
from peftcli.models.reach import Reading
from peftcli.seeds import generator


@dataclass(frozen=True)
class Whole:
    """What a slice of a batch has to know of all of it, where it is cut for several processes or to be computed in parts.

    `slices` is how many there are; `counts` [runs]: examples (words) of each run's whole batch; `tokens` and `slots` of all
    runs and slices together; `tokens_before` and `read_before` [runs] int32: how many tokens, and positions that are read,
    lie in front of this slice. `in_grid` [runs, 2] int32: how many sequences do, and by how many tokens the whole batch's
    longest sequence is longer than this slice's.
    """

    slices: int
    counts: Tensor
    tokens: int
    slots: int
    tokens_before: Tensor
    read_before: Tensor
    in_grid: Tensor


@dataclass(frozen=True)
class Piece:
    """The same before it is moved; `counted` [runs] is 0 for runs of which this slice computes an example that does not count."""

    slices: int
    counts: Array
    tokens: int
    slots: int
    tokens_before: NDArray[np.int32]
    read_before: NDArray[np.int32]
    in_grid: NDArray[np.int32]
    counted: NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """One step of every run: the stream, what is read of it, and what is wanted.

    `read_positions` [runs, read]: the tokens of the stream that the head reads, each sequence's first one (a decoder's last)
    or every labelled word's. `spans` [runs, examples, 2, 2], for span tasks: first token and the one behind the last, of both
    spans, the longest of which has `longest_span` tokens. `labels` [runs, examples or words]; `present` of that shape is 1
    where a run has one, 0 where its batch is shorter. `lookups` by buffer name: what embeddings train of this batch's rows.
    """

    stream: Stream
    read_positions: Tensor
    spans: Tensor | None
    longest_span: int
    labels: Tensor
    present: Tensor
    whole: Whole | None  # None: this is all of it
    lookups: dict[str, Tensor]

    @property
    def tokens(self) -> int:
        """Real tokens of all runs (and slices) together."""
        return self.stream.tokens if self.whole is None else self.whole.tokens

    @property
    def slots(self) -> int:
        """Tokens computed, those included that fill up the shorter runs."""
        return self.stream.ids.numel() if self.whole is None else self.whole.slots


NO_LOOKUPS: Mapping[str, Lookup] = MappingProxyType({})


@lru_cache(maxsize=64)  # every step of an epoch asks for its order; a cohort has up to some tens of seeds
def epoch_order(seed: int, epoch: int, size: int) -> Array:
    """A run's permutation of the training set in an epoch, [size]."""
    return generator(seed, f"order/{epoch}").permutation(size)


def chosen(seed: int, step: int, size: int, batch_size: int) -> Array:
    """The numbers of the examples that a run sees at a step (from 0), [at most batch_size]; an epoch's last batch is shorter."""
    epoch, number = divmod(step, -(-size // batch_size))
    return epoch_order(seed, epoch, size)[number * batch_size : (number + 1) * batch_size]


def build(
    parts: Sequence[tuple[Examples, Array]],
    reading: Reading,
    device: torch.device,
    lookups: Mapping[str, Lookup] = NO_LOOKUPS,
    piece: Piece | None = None,
) -> Batch:
    """Lay out each run's chosen examples and point at what is read of them, for embeddings with `lookups` too.

    All of it is worked out by numpy and copied at once, so that nothing here waits for the device: while that computes one
    batch, the next is laid out. `reading` is the model's. `piece` says what of a whole batch these parts are.
    """
    group = parts[0][0].group
    sequences = [(e, (c[:, None] * group + np.arange(group)).reshape(-1)) for e, c in parts]
    laid = lay_out(sequences, reading)
    read = [_read(*part, starts, reading.last) for part, starts in zip(parts, laid.starts, strict=True)]
    arrays = laid.arrays | {
        "read_positions": _stack([positions for positions, _, _ in read]),
        "labels": _stack([labels for _, labels, _ in read]),
        "present": _stack([np.ones(len(labels), np.float32) for _, labels, _ in read]),
    }
    longest_span = 0
    if parts[0][0].spans is not None:
        spans = _stack([s for _, _, s in read if s is not None])
        spans[..., 1] = np.maximum(spans[..., 1], spans[..., 0] + 1)  # an absent example reads one token, not none
        arrays["spans"], longest_span = spans, int((spans[..., 1] - spans[..., 0]).max())
    if piece is not None:
        arrays["present"] *= piece.counted[:, None]
        arrays |= {name: getattr(piece, name) for name in ("counts", "tokens_before", "read_before", "in_grid")}
    found = {name: lookup.pairs(arrays[lookup.reads]) for name, lookup in lookups.items()}
    arrays |= {f"{name}.{part}": array for name, pairs in found.items() for part, array in pairs.items()}
    tensors = move(arrays, device)
    whole = None
    if piece is not None:
        before = tensors["tokens_before"], tensors["read_before"], tensors["in_grid"]
        whole = Whole(piece.slices, tensors["counts"], piece.tokens, piece.slots, *before)
    return Batch(
        laid.moved(tensors),
        tensors["read_positions"],
        tensors.get("spans"),
        longest_span,
        tensors["labels"],
        tensors["present"],
        whole,
        {name: tensors[name] for name in arrays if name.rpartition(".")[0] in lookups},
    )


def _read(examples: Examples, picked: Array, starts: Array, last: bool) -> tuple[Array, np.ndarray, Array | None]:
    """One run's positions in the stream that are read, its labels and its spans.

    `starts` [batch + 1] is where its sequences start; `last` whether of a whole sequence the last token is read, not the first.
    """
    first = starts[:-1]
    of_sequences = starts[1:] - 1 if last else first
    if examples.words is not None and examples.word_starts is not None:
        words, starts = pieces(examples.word_starts, picked)
        sequence = np.repeat(np.arange(len(picked)), np.diff(starts))
        return first[sequence] + examples.words[words], examples.labels[words], None
    labels = examples.labels[picked]
    if examples.spans is not None:
        return of_sequences[: len(picked)], labels, examples.spans[picked] + first[: len(picked), None, None]
    return of_sequences[: len(picked) * examples.group], labels, None


def _stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack rows of unequal length, the shorter ones filled up with zeros."""
    stacked = np.zeros((len(rows), max(map(len, rows)), *rows[0].shape[1:]), rows[0].dtype)
    for target, row in zip(stacked, rows, strict=True):
        target[: len(row)] = row
    return stacked
