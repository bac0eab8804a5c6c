"""Which word piece stands for a word, and why some words have none: cut off, dropped by the tokenizer, not labelled."""

import numpy as np
import pytest

from peftcli.data import word_pieces
from peftcli.data.examples import Examples
from peftcli.data.phrasing import Word
from peftcli.data.rows import Rows

WORDS = [["a", "b", "c"], [], ["d", "e"], ["f"]]
PIECES: list[word_pieces.Pieces] = [[None, 0, 0, 2, None], [None, None], [None, 1, None], [None, None]]


def examples() -> Examples:
    starts = np.concatenate([[0], np.cumsum(list(map(len, PIECES)))])
    zeros = np.zeros(starts[-1], np.int64)
    return Examples(zeros, zeros, starts, np.zeros(6, np.int64), np.arange(4))


@pytest.mark.parametrize("word", ["first", "last"])
@pytest.mark.parametrize(
    ("cut", "labels", "counts"),
    [
        ([[], [], [], []], [3, 4, 5, 6, 7, 8], ([0, 0, 0, 0], [1, 0, 1, 1])),
        # the second word goes on behind the cut, and begins before it
        ([[[None, 1, 2, None]], [], [], [[None, 0, None]]], [3, 4, 5, 6, 7, 8], ([1, 0, 0, 1], [0, 0, 1, 0])),
        ([[[None, 1], [2, None]], [], [[0]], []], [-100, -100, 5, 6, -100, 8], ([0, 0, 1, 0], [0, 0, 0, 1])),
    ],
)
def test_words_with_a_piece_are_labelled_and_the_others_counted_by_reason(
    cut: list[list[word_pieces.Pieces]], labels: list[int], counts: tuple[list[int], list[int]], word: Word
) -> None:
    rows = Rows({"words": WORDS}, np.array(labels), np.arange(4))
    found = word_pieces.label(examples(), PIECES, cut, rows, word)
    of_a = 1 if word == "first" else 2  # it has two pieces
    read = [(labels[at], position, number) for at, position, number in ((0, of_a, 0), (2, 3, 2), (4, 1, 1))]
    read = [word for word in read if word[0] != -100]
    assert found.examples.labels.tolist() == [label for label, _, _ in read]
    assert found.examples.words is not None
    assert found.examples.word_numbers is not None
    assert found.examples.word_starts is not None
    assert found.examples.words.tolist() == [position for _, position, _ in read]
    assert found.examples.word_numbers.tolist() == [number for _, _, number in read]
    of_first = sum(label != -100 for label in (labels[0], labels[2]))
    assert found.examples.word_starts.tolist() == [0, of_first, of_first, len(read), len(read)]
    assert (found.cut.tolist(), found.without_pieces.tolist()) == counts
    taken = found.examples.take(np.array([2, 0]))
    assert taken.word_numbers is not None
    assert taken.word_numbers.tolist() == [number for _, _, number in [*read[of_first:], *read[:of_first]]]
