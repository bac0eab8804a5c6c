"""Durations change their unit where a reader would, and are as fine as the number deserves."""

import math
import time

import pytest

from peftcli.experiment.durations import GUESSED, MEASURED, SPELLED, Scale, day, in_words
from peftcli.records.body import LAST_SECOND


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (MEASURED, {0.04: "0.0 s", 119.94: "119.9 s", 120: "2.0 min", 7199: "120.0 min", 7200: "2.0 h", 9e5: "250.0 h"}),
        (GUESSED, {5: "about 5 s", 90: "about 2 min", 5399: "about 90 min", 5400: "about 1.5 h", 172800: "about 2.0 days"}),
        (SPELLED, {3.6: "4 seconds", 60: "1.0 minutes", 900: "15.0 minutes", 44424: "12.3 hours", 4442400: "1,234.0 hours"}),
    ],
    ids=["measured", "guessed", "spelled"],
)  # fmt: skip
def test_each_scale_in_its_units(scale: Scale, expected: dict[float, str]) -> None:
    assert {seconds: in_words(seconds, scale) for seconds in expected} == expected


def test_what_is_not_finite_is_in_the_largest_unit() -> None:
    assert in_words(math.inf, MEASURED) == "inf h"
    assert in_words(math.nan, GUESSED) == "about nan days"


def test_a_day_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # where it is the next day already
    time.tzset()
    try:
        assert [day(second) for second in (0, 86_399, 86_400, LAST_SECOND)] == [
            "1970-01-01", "1970-01-01", "1970-01-02", "9999-12-31"
        ]  # fmt: skip
    finally:
        monkeypatch.undo()
        time.tzset()
