"""Tokenised examples of one split, laid end to end without padding. Plain arrays, no torch."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """The sequences of word pieces of one split, end to end, and what is asked of each example.

    Sequence i has the word pieces `starts[i]` up to, but without, `starts[i + 1]`. An example is one sequence, except
    in choice tasks, where it is `group` = 2 sequences in a row. Fields that a kind of task does not use are None.
    """

    ids: Array  # [word pieces] of all sequences: their numbers in the vocabulary
    types: Array  # [word pieces]: 1 in the second text of a pair, else 0
    starts: Array  # [sequences + 1]
    labels: NDArray[np.generic]  # [examples] int64 (regression: float64); token tasks: [words]
    numbers: Array  # [examples]: the data set's own example ids
    group: int = 1
    words: Array | None = None  # [words], token tasks: where the piece that is read of a word is in its sequence
    word_starts: Array | None = None  # [examples + 1], token tasks: example i has words word_starts[i] up to [i + 1]
    word_numbers: Array | None = None  # [words], token tasks: which word of its sentence a word is, from 0
    spans: Array | None = None  # [examples, 2, 2], span tasks: for both spans the first word piece and the one behind

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lengths(self) -> Array:
        """Word pieces of each sequence, [sequences]."""
        return np.diff(self.starts)

    @property
    def example_lengths(self) -> Array:
        """Word pieces of each example, its sequences together, [examples]."""
        return np.add.reduceat(self.lengths, np.arange(0, len(self.lengths), self.group))

    def take(self, chosen: Array) -> "Examples":
        """Return the chosen examples, in that order."""
        sequences = (chosen[:, None] * self.group + np.arange(self.group)).reshape(-1)
        positions, starts = pieces(self.starts, sequences)
        taken = replace(
            self, ids=self.ids[positions], types=self.types[positions], starts=starts, numbers=self.numbers[chosen]
        )
        if self.word_starts is not None and self.words is not None:
            # Words count within their sequence, so they need no shift where sequences move.
            words, word_starts = pieces(self.word_starts, chosen)
            numbers = None if self.word_numbers is None else self.word_numbers[words]
            return replace(
                taken,
                words=self.words[words],
                word_starts=word_starts,
                word_numbers=numbers,
                labels=self.labels[words],
            )
        spans = None if self.spans is None else self.spans[chosen]
        return replace(taken, labels=self.labels[chosen], spans=spans)


def pieces(starts: Array, chosen: Array) -> tuple[Array, Array]:
    """Return the positions of the elements of the chosen pieces, end to end, and where each piece starts among them.

    `starts` [pieces + 1] cuts a row of elements into pieces; `chosen` are piece numbers, in any order.
    """
    lengths = np.diff(starts)[chosen]
    new_starts = np.concatenate([[0], np.cumsum(lengths)])
    # An element keeps its distance from the start of its piece: new position + (old start - new start).
    positions = np.arange(new_starts[-1]) + np.repeat(starts[chosen] - new_starts[:-1], lengths)
    return positions, new_starts
