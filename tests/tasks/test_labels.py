"""Spellings of labels: which are one class, in which order classes stand, and which only look alike."""

import itertools
from decimal import Decimal

import pytest

from peftcli.errors import UserError
from peftcli.tasks import labels

WORDS = ["None", "nan", "NA", "null", "inf", "-Infinity", "yes", "no", "on", "off", "0x1", "1e", "snan", "", "½"]


@pytest.mark.parametrize("word", WORDS)
def test_words_are_no_numbers(word: str) -> None:
    assert labels.number(word) is None
    assert labels.merged([word, "1", "1.0"]) == {text: text for text in sorted([word, "1", "1.0"])}


def test_numbers_are_exact() -> None:
    assert labels.number("1e5") == Decimal(100000)
    assert labels.number("9007199254740993") != labels.number("9007199254740992")  # one float
    assert labels.number("1e9999999") is not None  # no float


@pytest.mark.parametrize(
    ("spellings", "classes"),
    [
        (["0", "0.0", "1", "1.0"], ["0", "1"]),
        (["1.0", "0.0"], ["0.0", "1.0"]),  # as they always were
        (["10", "9", "1e1", "010"], ["9", "10"]),
        (["-1", "+1", "1", "-0", "0"], ["-1", "0", "1"]),
        (["b", "B", "a"], ["B", "a", "b"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["True", "False"], ["False", "True"]),
    ],
)
def test_equal_numbers_are_one_class_in_one_order(spellings: list[str], classes: list[str]) -> None:
    for order in itertools.islice(itertools.permutations(spellings), 24):
        assert list(dict.fromkeys(labels.merged(order).values())) == classes


def test_a_spelling_finds_its_class() -> None:
    numbers = labels.finder(["0", "1", "20"])
    assert [numbers(text) for text in ("0", "0.0", "1.", "2e1", "3", "x", "")] == [0, 0, 1, 2, None, None, None]
    words = labels.finder(["0", "1", "x"])
    assert [words(text) for text in ("0", "0.0", "x", "X", "nan")] == [0, None, 2, None, None]
    listed = labels.finder(["01", "1", "1.0"])
    assert [listed(text) for text in ("01", "1", "1.0", "1.00")] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("one", "other", "in_blanks", "in_case"),
    [
        ("good", " good", True, True),
        ("good", "good\u00a0", True, True),
        ("very good", "very  good", True, True),
        ("good", "Good", False, True),
        ("true", "True", False, True),
        ("0", "0.0", True, True),
        ("é", "e\u0301", False, True),
        ("good", "goods", False, False),
        ("1", "10", False, False),
    ],
)
def test_what_looks_alike(one: str, other: str, in_blanks: bool, in_case: bool) -> None:
    assert labels.twins([one, "x", other], labels.without_blanks) == [(one, other)] * in_blanks
    assert labels.twins([one, "x", other], labels.without_case) == [(one, other)] * in_case


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  "])
def test_a_missing_label_is_named_by_its_row(missing: object) -> None:
    with pytest.raises(UserError, match=r"x misses a label in row 1 \(from 0\)"):
        labels.spelled(["a", missing], "x", words=False)
    with pytest.raises(UserError, match=r"x misses a label in row 1 \(from 0\)"):
        labels.spelled([["a"], ["a", missing]], "x", words=True)


def test_labels_are_spelled_as_a_csv_holds_them() -> None:
    values = [True, 0, 1.0, "None", Decimal("1.50")]
    assert labels.spelled(values, "x", words=False) == [["True"], ["0"], ["1.0"], ["None"], ["1.50"]]
    assert labels.spelled([["O", 1], []], "x", words=True) == [["O", "1"], []]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"x has a list of labels in row 0 \(from 0\), which kind: token takes"),
        ({"a": 1}, "holds a dict, not text"),
        (b"good", "holds a bytes, not text"),
        ("\ud800", r"x: row 0 \(from 0\) holds half a character: '\\ud800'"),
    ],
)
def test_what_is_no_label(value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        labels.spelled([value], "x", words=False)
    with pytest.raises(UserError, match=r"x has no list of labels in row 0 \(from 0\), one a word"):
        labels.spelled(["good"], "x", words=True)
