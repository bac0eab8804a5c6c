"""Differences of two means against scipy's own t tests and intervals."""

import math

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics.contrast import Sample, contrast, paired_t, welch

ONE = {0: 62.1, 1: 60.4, 2: 63.9, 3: 61.0, 4: 64.2}
OTHER = {0: 58.3, 1: 59.9, 2: 60.2, 3: 60.8, 4: 59.4}


def _sample(values: dict[int, float]) -> Sample:
    sample = Sample.of(values)
    assert sample is not None
    return sample


@pytest.mark.parametrize("boundary", [0.0, 1.0, 3.0])
def test_pairs_are_scipy_s_paired_test_with_its_interval(boundary: float) -> None:
    ours = contrast(_sample(ONE), _sample(OTHER), paired=True)
    shifted = [value - boundary for value in ONE.values()]
    for side, p_value in (("greater", ours.p_above(boundary)), ("less", ours.p_below(boundary))):
        assert p_value == pytest.approx(stats.ttest_rel(shifted, list(OTHER.values()), alternative=side).pvalue)
    theirs = stats.ttest_rel(list(ONE.values()), list(OTHER.values()))
    assert ours.p_value() == pytest.approx(theirs.pvalue)
    assert ours.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.interval(0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)))
    assert (ours.test, ours.n) == ("paired t", "5 pairs")


@pytest.mark.parametrize("ddof", [0, 1])
def test_two_samples_are_welch_s_test_also_from_what_a_paper_prints(ddof: int) -> None:
    one, other = list(ONE.values()), list(OTHER.values())
    printed = Sample.printed(float(numpy.mean(other)), float(numpy.std(other, ddof=ddof)), 5, ddof)
    theirs = stats.ttest_ind(one, other, equal_var=False)
    freedom = theirs.df - (theirs.df - 4) / 3  # a third of the way from Satterthwaite's
    half = stats.t.ppf(0.975, freedom) * ((numpy.var(one, ddof=1) + numpy.var(other, ddof=1)) / 5) ** 0.5
    distance = float(numpy.mean(one) - numpy.mean(other))
    for sample in (printed, _sample(dict(enumerate(other)))):
        ours = contrast(_sample(ONE), sample, paired=False)
        assert ours.estimate / ours.error == pytest.approx(theirs.statistic)
        assert ours.freedom == pytest.approx(freedom)
        assert ours.p_value() == pytest.approx(2 * stats.t.sf(abs(theirs.statistic), freedom))
        assert ours.interval() == pytest.approx((distance - half, distance + half))
        assert (ours.test, ours.n) == ("Welch's t", "5 and 5")


def test_unlike_counts_take_half_of_the_way_from_satterthwaite_s_degrees_of_freedom() -> None:
    other = list(OTHER.values())[:3]
    ours = contrast(_sample(ONE), _sample(dict(enumerate(other))), paired=False)
    theirs = stats.ttest_ind(list(ONE.values()), other, equal_var=False)
    assert ours.freedom == pytest.approx((theirs.df + 2) / 2)
    assert ours.p_value() == pytest.approx(2 * stats.t.sf(abs(theirs.statistic), ours.freedom))
    assert ours.n == "5 and 3"


def test_printed_cells_are_never_paired() -> None:
    assert contrast(_sample(ONE), Sample.printed(58.0, 1.0, 5, 1), paired=True).test == "Welch's t"


def test_a_seed_without_its_counterpart_is_left_out_of_pairs_and_a_missing_value_of_samples() -> None:
    ours = paired_t(ONE, {seed: OTHER[seed] for seed in (0, 2, 4)})
    theirs = stats.ttest_rel([ONE[seed] for seed in (0, 2, 4)], [OTHER[seed] for seed in (0, 2, 4)])
    assert ours.p_value() == pytest.approx(theirs.pvalue)
    assert ours.n == "3 pairs"
    assert _sample({**ONE, 5: None, 6: math.nan}) == _sample(ONE)  # type: ignore[dict-item]
    assert Sample.of({0: None}) is None


@pytest.mark.parametrize(
    ("one", "other", "paired", "why"),
    [
        ({0: 1.0, 1: 2.0}, {0: 1.5, 1: 1.0}, True, "fewer than 3 seeds"),
        ({0: 1.0, 1: 2.0}, ONE, False, "fewer than 3 seeds"),
        ({7: 1.0}, ONE, True, "no seed in common"),
        ({0: 50.0, 1: 50.0, 2: 50.0}, {0: 50.0, 1: 50.0, 2: 50.0}, False, "no variance"),
        # The same difference at every seed: its bits differ, its deviation is none.
        ({0: 0.3, 1: 0.7, 2: 1.1}, {0: 0.1, 1: 0.5, 2: 0.9}, True, "no variance"),
    ],
)
def test_where_there_is_no_test_there_is_no_p(
    one: dict[int, float], other: dict[int, float], paired: bool, why: str
) -> None:
    ours = contrast(_sample(one), _sample(other), paired)
    assert ours.why_not == why
    assert (ours.p_value(), ours.interval(), ours.p_above(), ours.p_below()) == (None, None, 1.0, 1.0)


def test_a_printed_mean_without_deviation_or_count_has_no_test() -> None:
    assert welch(Sample.printed(58.0, None, 5, 1), _sample(ONE)).why_not == "no deviation"
    assert welch(Sample.printed(58.0, 1.0, None, 1), _sample(ONE)).why_not == "fewer than 3 seeds"
    assert math.isnan(Sample.printed(58.0, None, 5, 1).error)


def test_one_side_that_does_not_vary_is_still_tested() -> None:
    constant = _sample(dict.fromkeys(range(5), 50.0))
    theirs = stats.ttest_1samp(list(ONE.values()), 50.0)
    assert welch(_sample(ONE), constant).p_value() == pytest.approx(theirs.pvalue)
