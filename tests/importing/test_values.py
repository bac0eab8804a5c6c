"""A CSV's text, a parquet file's numbers and pandas' missing values come to the same."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.importing import values

NOTHING = (None, "", "  ", "nan", "NaN", math.nan)


def test_numbers() -> None:
    assert values.numbers(["3e-05", 3e-05, " 7 ", 7, *NOTHING], "x") == [3e-05, 3e-05, 7.0, 7.0, *[None] * 6]
    assert values.losses(["inf", math.inf, "2.5"], "x") == [None, None, 2.5]
    # Beyond what a float holds exactly.
    assert values.whole([str(2**62 + 1), 2**62 + 1, "85.0", 85.0, None], "x") == [2**62 + 1, 2**62 + 1, 85, 85, None]
    assert values.fractions([1, "-0.5", 0.25], "x") == [1.0, -0.5, 0.25]


@pytest.mark.parametrize(
    ("read", "bad", "said"),
    [
        (values.numbers, "ten", "column a, row 1 .* 'ten' is not a number"),
        (values.numbers, True, "'True' is not a number"),
        (values.numbers, "inf", "'inf' is not a number"),
        (values.numbers, [1], "is not a number"),
        (values.whole, 8.5, "'8.5' is not a whole number"),
        (values.whole, "1e400", "is not a whole number"),
        (values.fractions, 1.01, "1.01 is no fraction"),
        (values.truths, "yes", "'yes' is not true or false"),
        (values.truths, 2, "'2' is not true or false"),
        (values.times, "yesterday", "'yesterday' is not a time such as"),
        (values.times, 5, "'5' is not a time such as"),
        (values.lists, "{}", "'{}' is not a list as JSON"),
        (values.lists, 3, "'3' is not a list as JSON"),
        (values.settings, "[1", "'.1' is not a setting's value"),
    ],
)
def test_a_value_of_another_kind_is_refused(read: Any, bad: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read([None, bad], "column a")


def test_words_and_settings() -> None:
    assert values.words([7.0, 7, "7", " cola ", *NOTHING]) == ["7", "7", "7", "cola", *[None] * 6]
    assert values.settings(["all", "100", 100, "true", True, "[4, 9]", None, ""], "x") == [
        "all", 100, 100, True, True, [4, 9], None, None,
    ]  # fmt: skip


def test_truth_values_times_and_lists() -> None:
    assert values.truths(["true", "False", True, False, *NOTHING], "x") == [True, False, True, False, *[None] * 6]
    moment = datetime(2026, 11, 27, 3, 16, 15, tzinfo=UTC)
    written = [
        "2026-11-27T03:16:15Z",
        "2026-11-27 03:16:15",
        "2026-11-27T04:16:15+01:00",
        moment,
        moment.replace(tzinfo=None),
    ]
    assert values.times([*written, *NOTHING], "x") == [*[moment] * 5, *[None] * 6]
    assert values.lists(['["a"]', "[]", *NOTHING], "x") == ['["a"]', "[]", *[None] * 6]


def test_one_of_a_few_words() -> None:
    legal = ("completed", "diverged")
    assert values.one_of([" diverged", "completed", *NOTHING], legal, "x") == ["diverged", "completed", *[None] * 6]
    with pytest.raises(UserError, match=r"x, row 0 .* 'finished' is not one of completed, diverged"):
        values.one_of(["finished"], legal, "x")
