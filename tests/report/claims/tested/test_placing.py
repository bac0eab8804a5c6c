"""Places in a column: best and worst in every column, top in enough of them, times best in exactly so many."""

import pytest
from scipy import stats

from peftcli.report.statistics import combining
from tests.report.claims.samples import A, B, C, answered, of
from tests.welch import welch

SHIFTED = tuple(tuple(value + 10 for value in values) for values in (A, B, C))
NUMBERS = [of(label, values, row=row) for row, (label, values) in enumerate(zip("abc", (A, B, C), strict=True))]
ON_COLA = [
    of(label, values, row=row, column="cola") for row, (label, values) in enumerate(zip("abc", SHIFTED, strict=True))
]


def test_the_best_and_the_worst_in_every_column() -> None:
    best = answered({"kind": "best", "among": "a"}, *NUMBERS, *ON_COLA)
    alone = answered({"kind": "best", "among": "a", "on": "rte"}, *NUMBERS, *ON_COLA)
    assert best.statement.supporting == alone.statement.supporting, "equal columns: all of them, uncorrected"
    assert best.answer == "supported"
    assert answered({"kind": "worst", "among": "c"}, *NUMBERS).answer == "supported"
    assert answered({"kind": "worst", "among": ["a", "b"]}, *NUMBERS).answer == "contradicted"
    assert answered({"kind": "best", "among": "b", "of": ["b", "c"]}, *NUMBERS).answer == "supported"


def test_a_column_is_told_by_the_row_that_could_take_the_place() -> None:
    (told,) = answered({"kind": "best", "among": ["a", "c"]}, *NUMBERS).comparisons
    assert (told.one, told.other, told.test, told.n) == ("a", "b", "Games–Howell", "5 and 5")
    half = stats.studentized_range.ppf(0.95, 3, welch(A, B).freedom) / 2**0.5 * welch(A, B).error
    assert told.interval == pytest.approx((1.76 - half, 1.76 + half), abs=1e-3)


def test_among_the_best_few_in_enough_columns() -> None:
    turned = [
        of(label, values, row=row, column="cola")
        for row, (label, values) in enumerate(zip("abc", (C, B, A), strict=True))
    ]
    both = [*NUMBERS, *turned]
    assert answered({"kind": "top", "strategy": "a", "places": 1, "at_least": 1}, *both).answer == "supported"
    assert answered({"kind": "top", "strategy": "a", "places": 1, "at_least": 2}, *both).answer == "contradicted"
    one, other = answered({"kind": "top", "strategy": "a", "places": 1, "at_least": 1}, *both).comparisons
    assert (one.other, other.other) == ("b", "c"), "the best of the others in each column"


def test_exactly_so_many_times_best() -> None:
    for times, answer in ((2, "supported"), (1, "contradicted"), (0, "contradicted")):
        found = answered({"kind": "times best", "times": {"a": times}}, *NUMBERS, *ON_COLA)
        assert found.answer == answer, times
    both = answered({"kind": "times best", "times": {"a": 2, "b": 0}}, *NUMBERS, *ON_COLA)
    assert both.statement.supporting == max(part.statement.supporting for part in both.parts)
    assert both.answer == "supported"
    columns = [
        answered({"kind": "best", "among": "a", "on": on}, *NUMBERS, *ON_COLA).statement for on in ("rte", "cola")
    ]
    once = combining.all_of([combining.at_least(1, columns), combining.opposite(combining.at_least(2, columns))])
    assert answered({"kind": "times best", "times": {"a": 1}}, *NUMBERS, *ON_COLA).statement.against == once.against
