"""Checks by Student's t: every statement is composed of its comparisons as the plain definition says."""

import pytest
from scipy import stats

from tests.report.claims.samples import A, B, C, answered, of
from tests.welch import welch

NUMBERS = (of("a", A, row=0), of("b", B, row=1), of("c", C, row=2))


def p_above(one: tuple[float, ...], other: tuple[float, ...], boundary: float = 0.0) -> float:
    return welch(one, other).above(boundary)


def test_better_and_within_have_their_boundaries() -> None:
    by = answered({"kind": "better", "strategies": ["a", "b"], "than": "c", "by": 1.0}, *NUMBERS)
    ps = [p_above(A, C, 1.0), p_above(B, C, 1.0)]
    assert by.statement.supporting == pytest.approx(max(ps)), "all of, uncorrected"
    assert by.statement.against == pytest.approx(min(1.0, 2 * min(1 - p for p in ps))), "the first step of Holm's"
    assert [c.boundary for c in by.comparisons] == [1.0, 1.0]
    near = answered({"kind": "within", "strategies": "c", "than": "a", "points": 5}, *NUMBERS)
    assert near.statement.supporting == pytest.approx(p_above(C, A, -5.0))
    assert near.answer == "supported"
    assert answered({"kind": "within", "strategies": "c", "than": "a", "points": 1}, *NUMBERS).answer == "contradicted"


def test_any_of_several_names_and_every_row_of_one() -> None:
    anyone = answered({"kind": "better", "strategies": ["a", "c"], "than": "b", "take": "any"}, *NUMBERS)
    assert anyone.statement.supporting == pytest.approx(2 * min(p_above(A, B), p_above(C, B)))
    rows = (of("a", A, row=0), of("a", B, row=1), of("c", C, row=2))
    every = answered({"kind": "better", "strategies": "a", "than": "c", "take": "every"}, *rows)
    assert every.statement.supporting == pytest.approx(max(p_above(A, C), p_above(B, C)))
    best = answered({"kind": "better", "strategies": "a", "than": "c"}, *rows)
    assert best.statement.supporting == pytest.approx(2 * min(p_above(A, C), p_above(B, C)))
    other = answered({"kind": "better", "strategies": "c", "than": "a"}, *rows)
    assert other.statement.supporting == pytest.approx(max(p_above(C, A), p_above(C, B))), "above all rows of the other"


def test_an_order_is_each_above_the_next() -> None:
    order = answered({"kind": "order", "strategies": ["a", "b", "c"]}, *NUMBERS)
    assert order.statement.supporting == pytest.approx(max(p_above(A, B), p_above(B, C)))
    assert answered({"kind": "order", "strategies": ["c", "b", "a"]}, *NUMBERS).answer == "contradicted"


def test_enough_of_several_are_the_partial_conjunction() -> None:
    numbers = (*NUMBERS, of("d", (60.1, 60.9, 60.4, 60.3, 59.6), row=3))
    for needed in (1, 2, 3):
        found = answered({"kind": "how many", "than": "c", "at_least": needed}, *numbers)
        ps = sorted(p_above(each, C) for each in (A, B, (60.1, 60.9, 60.4, 60.3, 59.6)))
        assert found.statement.supporting == pytest.approx(min(1.0, (3 - needed + 1) * ps[needed - 1]))
    named = answered({"kind": "how many", "than": "c", "at_least": 1, "strategies": ["a", "b"]}, *numbers)
    assert named.statement.supporting == pytest.approx(2 * min(p_above(A, C), p_above(B, C)))


def test_mostly_needs_more_than_its_share() -> None:
    rows = (of("a", A, row=0), of("a", B, row=1), of("a", C, row=2), of("b", (59.0, 60.0, 58.5, 59.3, 59.1), row=3))
    found = answered({"kind": "mostly", "strategy": "a", "than": "b"}, *rows)
    ps = sorted(p_above(each, (59.0, 60.0, 58.5, 59.3, 59.1)) for each in (A, B, C))
    assert found.parts[0].needed == 2
    assert found.statement.supporting == pytest.approx(2 * ps[1])


def test_welch_tests_a_direction_or_a_margin() -> None:
    common = {"kind": "welch", "strategies": "a", "than": "b"}
    two_sided = welch(A, B).p_value
    higher, lower = (answered(common | {"is": way}, *NUMBERS) for way in ("higher", "lower"))
    assert higher.statement.supporting == lower.statement.against == pytest.approx(two_sided / 2)
    different = answered(common | {"is": "different"}, *NUMBERS)
    assert (different.statement.supporting, different.statement.against) == (pytest.approx(two_sided / 2), 1.0)
    without = answered(common | {"is": "not different"}, *NUMBERS)
    assert (without.answer, without.statement.why_not) == ("cannot be judged", "no margin")
    near = answered(common | {"is": "not different", "margin": 4.0}, *NUMBERS)
    outside = max(p_above(A, B, -4.0), 1 - p_above(A, B, 4.0))
    assert near.statement.supporting == pytest.approx(outside / 2), "two one-sided tests at alpha"
    assert near.answer == "supported"
    (told,) = near.comparisons
    assert told.near == pytest.approx(welch(A, B).interval(0.90))
    assert answered(common | {"is": "different", "margin": 4.0}, *NUMBERS).answer == "contradicted"


def test_a_row_falls_from_column_to_column_in_pairs_of_one_task() -> None:
    sizes = [of("a", values, paired=True, setting={"train_size": size}) for values, size in ((A, "all"), (B, 100))]
    check = {"kind": "descends", "on": ["rte:train_size=all", "rte:train_size=100"]}
    found = answered(check, *sizes)
    assert found.comparisons[0].test == "paired t"
    assert found.statement.supporting == pytest.approx(stats.ttest_rel(A, B, alternative="greater").pvalue)
