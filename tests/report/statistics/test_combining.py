"""Statements of statements, against statsmodels, a plain loop and simulated nulls."""

import itertools
import math

import numpy
import pytest
from scipy import stats
from statsmodels.stats import multitest, weightstats

from peftcli.report.statistics import combining
from peftcli.report.statistics.combining import Statement, above, all_of, any_of, at_least, near, opposite, untested
from peftcli.report.statistics.contrast import Contrast, Sample, contrast

RANDOM = numpy.random.default_rng(0)


def _contrast(one: "numpy.ndarray", other: "numpy.ndarray") -> Contrast:
    samples = [Sample.of(dict(enumerate(map(float, values)))) for values in (one, other)]
    assert samples[0] is not None
    assert samples[1] is not None
    return contrast(*samples, paired=False)


def _tested(supporting: float, against: float | None = None) -> Statement:
    return Statement(supporting, 1 - supporting if against is None else against, supporting < 0.5)


@pytest.mark.parametrize(
    ("shift", "answer"), [(0.0, "leans for"), (9.0, "supported"), (-9.0, "contradicted"), (-1.0, "leans against")]
)
def test_above_is_decided_by_the_95_percent_interval(shift: float, answer: str) -> None:
    one, other = numpy.array([1.0, 2.0, 3.5]) + shift, numpy.array([1.0, 2.0, 3.0])
    difference = _contrast(one, other)
    low, high = difference.interval() or (math.nan, math.nan)
    tested = above(difference, boundary=0.0)
    assert tested.answer == answer
    assert (tested.answer == "supported") == (low > 0)
    assert (tested.answer == "contradicted") == (high < 0)


def test_the_boundary_moves_the_test() -> None:
    difference = _contrast(numpy.array([10.0, 10.5, 11.0]), numpy.array([7.0, 7.5, 8.0]))
    low, high = difference.interval() or (math.nan, math.nan)
    for boundary, answer in ((low - 0.01, "supported"), (low + 0.01, "leans for"), (high + 0.01, "contradicted")):
        assert above(difference, boundary).answer == answer


def test_near_is_statsmodels_equivalence_test() -> None:
    one, other = RANDOM.normal(0.2, 1, 12), RANDOM.normal(0, 1, 12)
    for margin in (0.5, 1.0, 1.5, 2.5):
        _, lower, upper = weightstats.ttost_ind(one, other, -margin, margin, usevar="unequal")
        difference = _contrast(one, other)
        tested = near(difference, margin)
        # Its two t, referred to our degrees of freedom.
        theirs = max(stats.t.sf(lower[0], difference.freedom), stats.t.cdf(upper[0], difference.freedom))
        assert tested.supporting * 2 == pytest.approx(theirs)
        assert (tested.answer == "supported") == (theirs <= 0.05)


@pytest.mark.parametrize(("shift", "answer"), [(0.1, "supported"), (8.0, "contradicted"), (-8.0, "contradicted")])
def test_near_is_contradicted_on_either_side(shift: float, answer: str) -> None:
    values = numpy.array([1.0, 1.2, 1.4, 1.1])
    assert near(_contrast(values + shift, values), margin=1.0).answer == answer


def test_all_of_needs_every_one_and_is_contradicted_only_by_one_that_fails_after_holm() -> None:
    parts = [_tested(0.01), _tested(0.024), _tested(0.001)]
    assert all_of(parts).supporting == 0.024
    assert all_of([*parts, _tested(0.3)]).answer == "leans for"
    for against in (0.005, 0.006, 0.009):
        rejected = multitest.multipletests([0.99, 0.976, 0.999, against], alpha=0.025, method="holm")[0].any()
        assert (all_of([*parts, _tested(1 - against, against)]).answer == "contradicted") == rejected


def test_any_of_is_the_reverse_of_all_of() -> None:
    parts = [_tested(0.7), _tested(0.008), _tested(0.2)]
    assert any_of(parts).supporting == pytest.approx(0.024)
    assert opposite(any_of(parts)) == all_of([opposite(part) for part in parts])


@pytest.mark.parametrize("m", [1, 2, 4])
def test_at_least_k_and_its_opposite_agree_with_a_plain_count(m: int) -> None:
    p_values = [0.004, 0.03, 0.011, 0.5][:m]
    for k in range(1, m + 1):
        tested = at_least(k, [_tested(p) for p in p_values])
        assert tested.supporting == pytest.approx(min(1.0, (m - k + 1) * sorted(p_values)[k - 1]))
        turned = at_least(m - k + 1, [opposite(_tested(p)) for p in p_values])
        assert opposite(tested) == turned
        assert tested.leans == (sum(p < 0.5 for p in p_values) >= k)


def test_at_least_none_holds_and_more_than_all_cannot() -> None:
    assert at_least(0, [_tested(0.5)]).answer == "supported"
    assert at_least(2, [_tested(0.001)]).answer == "contradicted"


@pytest.mark.parametrize(("k", "true"), itertools.product([1, 2, 3], [0, 1, 2]))
def test_a_count_that_falls_short_is_rarely_supported(k: int, true: int) -> None:
    """Of three statements `true` are far beyond their boundary and the others on it: too few, where below k."""
    if true >= k:
        return
    z = RANDOM.normal(size=(4000, 3)) + numpy.where(numpy.arange(3) < true, 6.0, 0.0)
    p_values = stats.norm.sf(z)
    supported = [at_least(k, [_tested(float(p)) for p in row]).answer == "supported" for row in p_values]
    assert numpy.mean(supported) <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 4000)


def test_what_has_no_test_leans_at_most_and_is_open_where_it_could_decide() -> None:
    open_one = untested("no valid test")
    assert open_one.answer == "cannot be judged"
    assert untested("fewer than 3 seeds", leans=False).answer == "leans against"
    assert all_of([_tested(0.001), open_one]).answer == "cannot be judged"
    assert all_of([_tested(0.999, 0.001), open_one]).answer == "contradicted"
    assert any_of([_tested(0.001), open_one]).answer == "supported"
    assert any_of([_tested(0.4), open_one]).answer == "leans for"
    assert all_of([_tested(0.001), open_one]).why_not == "no valid test"
    capped = combining.capped(_tested(0.001), "a run collapsed")
    assert (capped.answer, capped.why_not) == ("leans for", "a run collapsed")


def test_holm_is_statsmodels() -> None:
    for size in (1, 2, 5, 12):
        p_values = RANDOM.uniform(0, 0.2, size).tolist()
        assert combining.holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1].tolist())
    assert combining.holm([]) == []
