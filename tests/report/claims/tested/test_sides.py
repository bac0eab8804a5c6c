"""Two sides of a comparison: paired or Welch's as the seeds are planned, any rate against all, capped where runs are amiss."""

import itertools

import pytest
from scipy import stats

from peftcli.report.claims.tested import sides
from peftcli.report.claims.tested.sides import COLLAPSED, DIVERGED
from tests.report.claims.samples import A, B, C, answered, of, printed
from tests.welch import of_printed, welch

BETTER = {"kind": "better", "strategies": "a", "than": "b"}


def test_the_same_planned_seeds_are_paired_and_others_are_not() -> None:
    (paired,) = answered(BETTER, of("a", A, paired=True), of("b", B, paired=True)).comparisons
    assert (paired.test, paired.n) == ("paired t", "5 pairs")
    test = stats.ttest_rel(A, B)
    assert paired.p_value == pytest.approx(test.pvalue)
    assert paired.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    for other in (of("b", B), of("b", B, paired=True, pairs=frozenset({5, 6, 7, 8, 9}))):
        (apart,) = answered(BETTER, of("a", A, paired=True), other).comparisons
        assert (apart.test, apart.n) == ("Welch's t", "5 and 5")
        assert apart.p_value == pytest.approx(welch(A, B).p_value)
        assert apart.interval == pytest.approx(welch(A, B).interval())


def test_a_printed_cell_is_tested_from_its_mean_deviation_and_n() -> None:
    (found,) = answered(BETTER, printed("a", 62.0, 1.2, 5), printed("b", 60.5, 0.4, 5)).comparisons
    assert (found.estimate, found.p_value) == pytest.approx((1.5, of_printed(62.0, 1.2, 5, 60.5, 0.4, 5).p_value))
    (unknown,) = answered(BETTER, printed("a", 62.0, 1.2, None), printed("b", 60.5, 0.4, 10)).comparisons
    assert (unknown.answer, unknown.p_value) == ("leans for", None)
    assert unknown.why_not == "the number of seeds is not known"


def test_the_best_of_several_rates_is_any_of_them_against_all_of_the_other_s() -> None:
    ones, others = [A, (61.0, 61.8, 60.9, 62.2, 61.1)], [B, C, (60.8, 60.0, 61.1, 60.6, 60.4)]
    check = answered(BETTER, of("a", *ones), of("b", *others))
    (found,) = check.comparisons
    above = [[welch(a, b).above() for b in others] for a in ones]
    below = [[1 - p for p in row] for row in above]
    assert check.statement.supporting == pytest.approx(2 * min(max(row) for row in above))
    assert check.statement.against == pytest.approx(min(1.0, max(3 * min(row) for row in below)))
    assert found.notes == ("any of 2 against all of 3, Holm",)
    # The interval turns where the test does: a boundary at either end has exactly half of alpha.
    assert found.interval is not None
    both = sides.sides((of("a", *ones),), (of("b", *others),))
    low, high = found.interval
    assert sides.statement(both, low).supporting == pytest.approx(0.025)
    assert sides.statement(both, high).against == pytest.approx(0.025)


def test_rates_that_held_out_examples_do_not_choose_take_no_part() -> None:
    rows = [
        of("a", A, row=0, held_out=70.0, setting={"learning_rate": 1e-3}),
        of("a", C, row=1, held_out=71.0, setting={"learning_rate": 1e-4}),
    ]
    (found,) = answered(BETTER, *rows, of("b", B, row=2)).comparisons
    assert found.estimate == pytest.approx(sum(C) / 5 - sum(B) / 5)
    assert found.notes == ()


FAR = (50.0, 50.5, 49.5, 50.1, 49.9)


def test_collapsed_and_diverged_runs_leave_an_answer_that_leans() -> None:
    assert answered(BETTER, of("a", A), of("b", FAR)).answer == "supported"
    (few,) = answered(BETTER, of("a", A), of("b", FAR, collapsed=1)).comparisons
    assert (few.answer, few.p_value, few.why_not) == ("leans for", None, COLLAPSED)
    assert few.notes == ("b: 1 collapsed",)
    assert few.plan is not None
    assert few.plan.least == 10
    assert answered(BETTER, of("a", A * 2), of("b", FAR * 2, collapsed=1)).answer == "supported", "ten seeds are enough"
    (lost,) = answered(BETTER, of("a", A * 2, diverged=1), of("b", FAR * 2)).comparisons
    assert (lost.answer, lost.why_not, lost.plan) == ("leans for", DIVERGED, None)


def test_what_has_no_variance_or_too_few_seeds() -> None:
    (equal,) = answered(BETTER, of("a", (62.0,) * 3, paired=True), of("b", (60.0,) * 3, paired=True)).comparisons
    assert (equal.answer, equal.why_not, equal.interval) == ("cannot be judged", "no variance", None)
    (two,) = answered(BETTER, of("a", A[:2]), of("b", B[:2])).comparisons
    assert (two.answer, two.why_not, two.p_value) == ("leans for", "fewer than 3 seeds", None)


@pytest.mark.parametrize(("mine", "others"), itertools.permutations((1, 7), 2))
def test_more_rates_to_choose_from_lean_at_most_that_way(mine: int, others: int) -> None:
    caution = f"best of {mine} and {others} rates on the judged set, uncorrected"
    for high, low, answers in (("a", "b", ("leans for", "supported")), ("b", "a", ("contradicted", "leans against"))):
        numbers = [printed("a", 62.0 if high == "a" else 50.0, 1.0, 5, choices=mine)]
        numbers += [printed("b", 62.0 if high == "b" else 50.0, 1.0, 5, choices=others)]
        check = answered(BETTER, *numbers)
        assert check.answer == answers[0 if mine > others else 1], (high, low)
        assert check.comparisons[0].caution == caution
    equal = answered(BETTER, printed("a", 62.0, 1.0, 5, choices=7), printed("b", 50.0, 1.0, 5, choices=7))
    assert equal.answer == "supported"
    assert equal.comparisons[0].caution == "best of 7 rates on the judged set, uncorrected"


def test_the_difference_is_welchs_for_seeds_of_other_columns() -> None:
    check = {"kind": "descends", "on": ["rte", "cola"], "strategies": "a"}
    rows = [of("a", A, paired=True), of("a", B, paired=True, column="cola")]
    (found,) = answered(check, *rows).comparisons
    assert found.p_value == pytest.approx(welch(A, B).p_value)
