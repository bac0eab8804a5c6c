"""The power of t tests and the seeds that it takes, against statsmodels, SciPy, simulation and Cohen's own tables."""

import itertools
import math
import time
from collections.abc import Callable

import numpy
import pytest
from scipy import stats
from statsmodels.stats import power as reference

from peftcli.report.statistics import power

DEVIATIONS = (0.05, 0.4, 1.0, 3.0, 12.0)
NUMBERS = (2, 3, 5, 10, 47, 1_000)


@pytest.mark.parametrize(("deviation", "n"), itertools.product(DEVIATIONS, NUMBERS))
def test_the_power_is_statsmodels(deviation: float, n: int) -> None:
    paired = _both_tails(reference.TTestPower().power, 1.5 / deviation, nobs=n, alpha=0.05)
    assert power.chance(1.5, deviation, n) == pytest.approx(paired, abs=1e-9)
    assert power.chance(-1.5, deviation, n) == power.chance(1.5, deviation, n)
    # Two samples that deviate unequally are as two that deviate by the root of the mean square.
    pooled = math.sqrt((deviation**2 + 4 * deviation**2) / 2)
    wanted = _both_tails(reference.TTestIndPower().power, 1.5 / pooled, nobs1=n, alpha=0.01)
    assert power.chance(1.5, (deviation, 2 * deviation), n, alpha=0.01) == pytest.approx(wanted, abs=1e-9)


def _both_tails(function: Callable[..., float], effect: float, alpha: float, **numbers: int) -> float:
    """Statsmodels' power; where SciPy has no number for the far tail that it adds, of the near one alone."""
    both = float(function(effect, alpha=alpha, **numbers))
    return float(function(effect, alpha=alpha / 2, alternative="larger", **numbers)) if math.isnan(both) else both


@pytest.mark.parametrize(("deviation", "wanted"), itertools.product((0.7, 1.0, 2.3, 9.0), (0.8, 0.9, 0.978)))
def test_the_seeds_are_the_fewest_that_statsmodels_finds_enough(deviation: float, wanted: float) -> None:
    for deviations, solver in (
        (deviation, reference.TTestPower()),
        ((deviation, deviation), reference.TTestIndPower()),
    ):
        n = power.seeds_needed(1.0, deviations, power=wanted)
        solved = math.ceil(float(numpy.squeeze(solver.solve_power(1 / deviation, None, 0.05, wanted))))
        assert n == (None if solved > 1_000 else max(3, solved))


def test_two_samples_find_a_difference_as_often_as_drawn_ones_do() -> None:
    generator = numpy.random.default_rng(0)
    one, other = generator.normal(2.0, 1.0, (20_000, 5)), generator.normal(0.0, 1.0, (20_000, 5))
    share = float((stats.ttest_ind(one, other, axis=1).pvalue < 0.05).mean())
    assert share == pytest.approx(power.chance(2.0, (1.0, 1.0), 5), abs=0.01)
    paired = float((stats.ttest_1samp(one, 0.0, axis=1).pvalue < 0.05).mean())
    assert paired == pytest.approx(power.chance(2.0, 1.0, 5), abs=0.01)


def test_what_textbooks_print() -> None:
    # Cohen (1988), table 2.4.1: two samples, two-sided 0.05, power 0.80, for d = 0.2, 0.5 and 0.8.
    assert [power.seeds_needed(d, (1.0, 1.0)) for d in (0.2, 0.5, 0.8)] == [394, 64, 26]


def test_the_ends_of_what_is_asked() -> None:
    assert power.seeds_needed(1.0, 0.001) == 3  # never fewer
    assert power.seeds_needed(1.0, (100.0, 0.0)) is None  # more than 1,000
    deviation = 1.0 / math.sqrt(7.8557 / 1000)  # 80 % at just about 1,000 pairs
    assert power.seeds_needed(1.0, 0.999 * deviation) in range(996, 1_001)
    assert power.seeds_needed(1.0, 1.008 * deviation) is None
    assert power.seeds_needed(0.0, 1.0) is None  # there is nothing to find
    assert power.chance(1.0, 0.0, 3) == 1.0
    assert power.chance(0.0, (0.0, 0.0), 3) == 0.0
    assert power.chance(0.0, 1.0, 3) == pytest.approx(0.05)  # what is found where there is nothing
    with pytest.raises(ValueError, match="at least two seeds"):
        power.chance(1.0, 1.0, 1)


def test_the_power_rises_with_every_seed_however_large() -> None:
    for deviation in (0.001, 0.1, 1.0, 10.0):
        chances = [power.chance(1.0, (deviation, deviation), n) for n in range(2, 1_001, 7)]
        assert all(math.isfinite(chance) for chance in chances)
        assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(chances))


@pytest.mark.parametrize(("n", "freedom"), [(3, 2), (10, 9), (4, 3.7)])
def test_a_deviation_s_interval(n: int, freedom: float) -> None:
    low, high = power.deviation_interval(1.5, freedom)
    bounds = stats.chi2(freedom).ppf([0.975, 0.025])
    assert (low, high) == pytest.approx(tuple(1.5 * numpy.sqrt(freedom / bounds)), rel=1e-9)
    assert low < 1.5 < high


def test_the_interval_covers_the_deviation_that_values_were_drawn_with() -> None:
    values = numpy.random.default_rng(1).normal(0.0, 2.0, (4_000, 3))
    bounds = [power.deviation_interval(float(deviation), 2) for deviation in values.std(axis=1, ddof=1)]
    assert float(numpy.mean([low < 2.0 < high for low, high in bounds])) == pytest.approx(0.95, abs=0.01)


def test_the_freedom_of_two_deviations_is_welch_s() -> None:
    # Of equal samples it is what Welch's test takes.
    test = stats.ttest_ind_from_stats(0.0, 1.2, 5, 1.0, 3.4, 5, equal_var=False)
    freedom = power.pooled_freedom([(1.2, 4), (3.4, 4)])
    assert float(test.pvalue) == pytest.approx(2 * stats.t.sf(abs(float(test.statistic)), freedom))
    assert power.pooled_freedom([(2.0, 4), (2.0, 4), (2.0, 2)]) == pytest.approx(9)  # 3² / (1/4 + 1/4 + 1/2)
    assert power.pooled_freedom([(2.0, 2), (0.0, 9)]) == pytest.approx(2)  # one side alone varies: that one's
    assert math.isnan(power.pooled_freedom([(0.0, 2), (0.0, 2)]))


def test_unequal_deviations_are_as_two_of_the_root_of_their_mean_square() -> None:
    assert power.root_mean_square(1.0, 7.0) == pytest.approx(5.0)
    assert power.seeds_needed(1.0, (1.0, 7.0)) == power.seeds_needed(1.0, (5.0, 5.0)) == 394


def test_a_thousand_plans_take_under_a_second() -> None:
    power.seeds_needed(1.0, 1.0)  # what the first one imports
    began = time.process_time()
    for index in range(1_000):
        power.seeds_needed(1.0, (0.1 + index / 50, 1.0))
    assert time.process_time() - began < 1
