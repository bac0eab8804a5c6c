"""Which word piece stands for each word of a token task, and which words have none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from peftcli.data.examples import Array, Examples
from peftcli.data.phrasing import Word
from peftcli.data.rows import Rows
from peftcli.tasks.labels import IGNORED

Pieces = list[int | None]  # the number of the word that each piece of a sequence is of; None: a special piece


@dataclass(frozen=True)
class Labelled:
    """Examples with their labelled words, and by example how many labelled words no piece stands for, [examples] each."""

    examples: Examples
    cut: Array  # words that truncation cut off
    without_pieces: Array  # words of which the tokenizer leaves nothing: blanks, marks that it drops


def label(
    examples: Examples, kept: Sequence[Pieces], cut: Sequence[Iterable[Pieces]], rows: Rows, word: Word
) -> Labelled:
    """Add the position of each labelled word's first or last piece, the word's number in its sentence and its label.

    `kept` are the pieces of each sequence, `cut` those that truncation took off it, in stretches: of a word that is cut
    through, the first or last piece that is left is read. A word with the label `IGNORED` has none.
    """
    (column,) = rows.columns.values()
    before = np.concatenate([[0], np.cumsum(list(map(len, column)))])  # [examples + 1]: words before each example
    # Labels of all words are end to end; a word's is at the words before its example plus its number there.
    labelled = rows.labels != IGNORED
    positions = np.full(before[-1], -1)  # [all words]: where the piece that is read of a word is in its sequence
    is_cut = np.zeros(before[-1], bool)
    for row, (pieces, stretches) in enumerate(zip(kept, cut, strict=True)):
        for number, position in _read_pieces(pieces, word).items():
            positions[before[row] + number] = position
        for stretch in stretches:
            is_cut[[before[row] + number for number in _read_pieces(stretch, word)]] = True
    read = labelled & (positions >= 0)
    lost = labelled & (positions < 0)
    example_of = np.repeat(np.arange(len(rows)), np.diff(before))  # [all words]

    def count(chosen: np.ndarray) -> Array:
        return np.bincount(example_of[chosen], minlength=len(rows))

    described = replace(
        examples,
        labels=rows.labels[read],
        words=positions[read],
        word_starts=np.concatenate([[0], np.cumsum(count(read))]),
        word_numbers=(np.arange(before[-1]) - before[example_of])[read],
    )
    return Labelled(described, count(lost & is_cut), count(lost & ~is_cut))


def _read_pieces(pieces: Iterable[int | None], word: Word) -> dict[int, int]:
    """Return word number -> position of its first or last word piece, from the word number of each piece of a sequence."""
    read: dict[int, int] = {}
    for position, number in enumerate(pieces):
        if number is not None and (word == "last" or number not in read):
            read[number] = position
    return read
