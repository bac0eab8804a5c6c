"""Examples laid end to end: taking some of them, against lists of lists."""

import numpy as np
import pytest

from peftcli.data.examples import Array, Examples, pieces

# Four sequences of 2, 1, 3 and 2 word pieces.
IDS, STARTS = np.arange(10, 18), np.array([0, 2, 3, 6, 8])


def lists(examples: Examples, values: Array) -> list[list[int]]:
    return [values[examples.starts[i] : examples.starts[i + 1]].tolist() for i in range(len(examples.starts) - 1)]


@pytest.mark.parametrize("chosen", [[], [2], [3, 0, 3], [0, 1, 2, 3]])
def test_pieces_are_slices_end_to_end(chosen: list[int]) -> None:
    positions, starts = pieces(STARTS, np.array(chosen, np.int64))
    slices = [list(range(STARTS[piece], STARTS[piece + 1])) for piece in chosen]
    assert positions.tolist() == [position for one in slices for position in one]
    assert starts.tolist() == [0, *np.cumsum([len(one) for one in slices]).tolist()]


def test_taking_sentences() -> None:
    examples = Examples(IDS, IDS % 2, STARTS, np.array([0, 1, 2, 3]), np.array([40, 41, 42, 43]))
    taken = examples.take(np.array([2, 0]))
    assert lists(taken, taken.ids) == [[13, 14, 15], [10, 11]]
    assert lists(taken, taken.types) == [[1, 0, 1], [0, 1]]
    assert (taken.labels.tolist(), taken.numbers.tolist(), taken.lengths.tolist()) == ([2, 0], [42, 40], [3, 2])


def test_taking_choices_takes_both_sequences() -> None:
    examples = Examples(IDS, IDS % 2, STARTS, np.array([1, 0]), np.array([7, 8]), group=2)
    taken = examples.take(np.array([1]))
    assert lists(taken, taken.ids) == [[13, 14, 15], [16, 17]]
    assert (len(taken), taken.labels.tolist(), taken.numbers.tolist()) == (1, [0], [8])


def test_taking_words_keeps_their_positions_in_the_sequence() -> None:
    words, word_starts = np.array([0, 1, 0, 0, 2, 1]), np.array([0, 2, 3, 5, 6])
    examples = Examples(
        IDS, IDS % 2, STARTS, np.array([5, 6, 7, 8, 9, 4]), np.arange(4), words=words, word_starts=word_starts
    )
    taken = examples.take(np.array([3, 2]))
    assert taken.words is not None
    assert taken.word_starts is not None
    assert (taken.words.tolist(), taken.word_starts.tolist(), taken.labels.tolist()) == (
        [1, 0, 2],
        [0, 1, 3],
        [4, 8, 9],
    )


def test_taking_spans() -> None:
    spans = np.arange(16).reshape(4, 2, 2)
    taken = Examples(IDS, IDS % 2, STARTS, np.array([0, 1, 0, 1]), np.arange(4), spans=spans).take(np.array([3, 1]))
    assert taken.spans is not None
    assert taken.spans.tolist() == [[[12, 13], [14, 15]], [[4, 5], [6, 7]]]
