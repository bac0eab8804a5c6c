"""Batches: which examples a run sees at which step, and what is read from a stream of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from peftcli.data.examples import Array, Examples, pieces
from peftcli.engine.streams import Stream, lay_out
from peftcli.seeds import generator


@dataclass(frozen=True)
class Whole:
    """What a slice of a batch has to know of all of it, where several processes train one cohort.

    `counts` [runs]: examples (words) of each run's whole batch; `tokens` and `slots` of all runs and processes together;
    `tokens_before` and `places_before` [runs] int32: what lies in front of this slice.
    """

    counts: Tensor
    tokens: int
    slots: int
    tokens_before: Tensor
    places_before: Tensor


@dataclass(frozen=True)
class Batch:
    """One step of every run: the stream, what is read of it, and what is wanted.

    `places` [runs, n] are tokens of the stream (first tokens, or labelled words); `spans` [runs, n, 2, 2] for span tasks.
    `labels` [runs, m]; `present` [runs, m] is 1 where a run has an example or word, 0 where its batch is shorter.
    """

    stream: Stream
    places: Tensor
    spans: Tensor | None
    labels: Tensor
    present: Tensor
    whole: Whole | None = None  # None: this is all of it


@lru_cache(maxsize=64)
def _permutation(seed: int, epoch: int, size: int) -> Array:
    return generator(seed, f"order/{epoch}").permutation(size)


def chosen(seed: int, step: int, size: int, batch_size: int) -> Array:
    """Give the examples a run sees at a step (from 0): its own permutation of the training set in every epoch."""
    steps = -(-size // batch_size)
    epoch, place = divmod(step, steps)
    return _permutation(seed, epoch, size)[place * batch_size : (place + 1) * batch_size]


def build(parts: Sequence[tuple[Examples, Array]], first_position: int, device: torch.device) -> Batch:
    """Lay out each run's chosen examples and point at what is read of them."""
    group = parts[0][0].group
    sequences = [(e, (c[:, None] * group + np.arange(group)).reshape(-1)) for e, c in parts]
    stream = lay_out(sequences, first_position, device)
    read = [_read(examples, picked, stream.first[run].cpu().numpy()) for run, (examples, picked) in enumerate(parts)]
    labels = _stack([labels for _, labels, _ in read])
    present = _stack([np.ones(len(labels), np.float32) for _, labels, _ in read])
    places = _stack([places for places, _, _ in read])
    spans = _stack([s for _, _, s in read if s is not None]) if parts[0][0].spans is not None else None
    if spans is not None:
        spans[..., 1] = np.maximum(spans[..., 1], spans[..., 0] + 1)  # an absent example reads one token, not none
    moved = [torch.from_numpy(a).to(device) for a in (places, labels, present)]
    return Batch(stream, moved[0], None if spans is None else torch.from_numpy(spans).to(device), moved[1], moved[2])


def _read(examples: Examples, picked: Array, first: Array) -> tuple[Array, np.ndarray, Array | None]:
    """One run's places, labels and spans in the stream, `first` being where its sequences start."""
    if examples.words is not None and examples.word_starts is not None:
        words, starts = pieces(examples.word_starts, picked)
        sequence = np.repeat(np.arange(len(picked)), np.diff(starts))
        return first[sequence] + examples.words[words], examples.labels[words], None
    labels = examples.labels[picked]
    if examples.spans is not None:
        return first[: len(picked)], labels, examples.spans[picked] + first[: len(picked), None, None]
    return first[: len(picked) * examples.group], labels, None


def _stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack rows of unequal length, the shorter ones filled up with zeros."""
    stacked = np.zeros((len(rows), max(map(len, rows)), *rows[0].shape[1:]), rows[0].dtype)
    for row, own in zip(stacked, rows, strict=True):
        row[: len(own)] = own
    return stacked
