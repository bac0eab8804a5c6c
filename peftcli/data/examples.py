"""Tokenised examples of one split, laid end to end without padding. Plain arrays, no torch."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """`ids` and `types` [tokens] of all sequences end to end; sequence i is `starts[i]` up to `starts[i + 1]`.

    `group` sequences make one example (2 for choices, else 1). `labels` [examples] int64, float64 for regression;
    for token tasks [words]. `numbers` [examples] are the data set's own example ids. Token tasks: `words` [words] the
    place of each word's first sub-token in its sequence, example i having words `word_starts[i]` up to
    `word_starts[i + 1]`. Span tasks: `spans` [examples, 2, 2] the first place and the place behind the last of both spans.
    """

    ids: Array
    types: Array
    starts: Array
    labels: NDArray[np.generic]
    numbers: Array
    group: int = 1
    words: Array | None = None
    word_starts: Array | None = None
    spans: Array | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lengths(self) -> Array:
        """Tokens of each sequence, [examples * group]."""
        return np.diff(self.starts)

    def take(self, chosen: Array) -> "Examples":
        """Give the chosen examples, in that order."""
        sequences = (chosen[:, None] * self.group + np.arange(self.group)).reshape(-1)
        places, starts = pieces(self.starts, sequences)
        kept = replace(
            self, ids=self.ids[places], types=self.types[places], starts=starts, numbers=self.numbers[chosen]
        )
        if self.word_starts is not None and self.words is not None:
            words, word_starts = pieces(self.word_starts, chosen)
            return replace(kept, words=self.words[words], word_starts=word_starts, labels=self.labels[words])
        spans = None if self.spans is None else self.spans[chosen]
        return replace(kept, labels=self.labels[chosen], spans=spans)


def pieces(starts: Array, chosen: Array) -> tuple[Array, Array]:
    """Places of the chosen pieces of a row, end to end, and where each piece now starts."""
    lengths = np.diff(starts)[chosen]
    new_starts = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(new_starts[-1]) + np.repeat(starts[chosen] - new_starts[:-1], lengths)
    return places, new_starts
