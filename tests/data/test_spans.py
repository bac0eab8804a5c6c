"""Spans of the coreference task: where they stand in a text, and in its word pieces."""

import pytest

from peftcli.data.spans import characters, pieces
from peftcli.errors import UserError


@pytest.mark.parametrize(
    ("text", "span", "word", "expected"),
    [
        ("Mark told Pete. He lied.", "He", 3, "He"),
        ("Mark told Pete. He lied.", "pete", 2, "Pete"),  # other case
        ("Mark told Pete, who lied.", "Pete,", 2, "Pete"),  # punctuation of the span, or of the text
        ("Emma's mother died", "Emma", 0, "Emma"),
        ("the old\nman slept", "old man", 1, "old\nman"),  # a line break within
        ("it is what it is", "it", 3, "it"),  # the second
        ("they want to use it , but", "it", 3, "it"),  # the index is one short
        ('he said "the big dog." twice', "the big dog", 2, "the big dog"),
        ("a -- b", "--", 1, "--"),
    ],
)
def test_a_span_is_found_at_its_word(text: str, span: str, word: int, expected: str) -> None:
    first, last = characters(text, span, word)
    assert text[first:last] == expected
    assert abs(len(text[:first].split()) - word) <= 1


def test_the_nearest_occurrence_is_meant() -> None:
    text = "it is what it is"
    assert characters(text, "it", 0) == (0, 2)
    assert characters(text, "it", 3) == (11, 13)


@pytest.mark.parametrize(("span", "word"), [("dog", 0), ("Pete", 7), ("", 0), ("ete", 2)])
def test_a_span_elsewhere_is_refused(span: str, word: int) -> None:
    with pytest.raises(UserError, match="does not stand at word"):
        characters("Mark told Pete. He lied to him there.", span, word)


def test_pieces_overlap_the_characters() -> None:
    offsets = [(0, 0), (0, 4), (5, 7), (7, 9), (10, 12), (0, 0)]  # special, "Mark", "to", "ld", "me", special
    assert pieces(offsets, (5, 9)) == (2, 4)
    assert pieces(offsets, (0, 4)) == (1, 2)
    assert pieces(offsets, (7, 9)) == (3, 4)
    assert pieces(offsets, (6, 12)) == (2, 5)  # a piece that begins before the span is of it


def test_characters_that_no_piece_covers_have_none() -> None:
    offsets = [(0, 0), (0, 4), (5, 7), (0, 0)]
    assert pieces(offsets, (10, 12)) is None
    assert pieces(offsets, (4, 5)) is None
    assert pieces(offsets, (5, 9)) == (2, 3)  # nothing is left of the last two characters
