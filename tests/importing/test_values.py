"""A CSV's text, a parquet file's numbers and pandas' missing values come to the same."""

import math
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
