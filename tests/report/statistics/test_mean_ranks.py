"""Mean ranks: scipy's ranks and Friedman test, Demšar's printed critical values, and groups by a plain loop."""

import itertools
import math

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics.mean_ranks import MeanRanks, mean_ranks

# Table 5a of Demšar (JMLR 7, 2006): q at 0.05, over the root of two, for 2 to 10 classifiers.
PRINTED = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)


@pytest.mark.parametrize(("tasks", "strategies"), [(5, 3), (7, 10), (12, 4)])
def test_ranks_and_friedman_are_scipy_s(tasks: int, strategies: int) -> None:
    scores = numpy.random.default_rng(tasks).integers(0, 6, (tasks, strategies)).astype(float)  # with ties
    ours = mean_ranks(scores.tolist())
    assert ours.ranks == pytest.approx(stats.rankdata(-scores, axis=1).mean(0), rel=1e-12)
    wanted = stats.friedmanchisquare(*scores.T)
    assert (ours.statistic, ours.p_value) == pytest.approx((wanted.statistic, wanted.pvalue), rel=1e-9)


@pytest.mark.parametrize("strategies", range(3, 11))
def test_the_critical_difference_is_the_printed_one(strategies: int) -> None:
    scores = numpy.random.default_rng(1).normal(size=(14, strategies))
    wanted = PRINTED[strategies - 2] * math.sqrt(strategies * (strategies + 1) / (6 * 14))
    critical = mean_ranks(scores.tolist()).critical
    assert critical == pytest.approx(wanted, rel=4e-4)  # printed to three digits
    quantile = stats.studentized_range.ppf(0.95, strategies, math.inf) / math.sqrt(2)
    assert critical == pytest.approx(quantile * math.sqrt(strategies * (strategies + 1) / (6 * 14)), rel=1e-10)


def test_scores_that_differ_in_their_last_bits_are_tied() -> None:
    tied = mean_ranks([[0.1 + 0.2, 0.3, 0.0]] * 5)
    assert tied.ranks == (1.5, 1.5, 3.0)
    same = mean_ranks([[0.5] * 3] * 5)
    assert (same.ranks, same.p_value, same.differs) == ((2.0, 2.0, 2.0), None, False)
    assert same.alike() == [(0, 1, 2)]


def test_groups_are_all_that_lie_within_the_critical_difference_and_none_inside_another() -> None:
    random = numpy.random.default_rng(5)
    several = 0
    for _ in range(60):
        ranks = tuple(random.uniform(1, 9, 7).tolist())
        shown = MeanRanks(ranks, 10, 20.0, 0.001, 2.5)
        cliques = [
            set(of)
            for size in range(2, 8)
            for of in itertools.combinations(range(7), size)
            if all(abs(ranks[i] - ranks[j]) < 2.5 for i, j in itertools.combinations(of, 2))
        ]
        largest = [of for of in cliques if not any(of < other for other in cliques)]
        groups = shown.alike()
        assert sorted(map(sorted, groups)) == sorted(map(sorted, largest))
        assert all([ranks[at] for at in group] == sorted(ranks[at] for at in group) for group in groups)
        several += len(groups) > 1
    assert several > 30


def test_without_friedman_s_difference_all_are_one_group() -> None:
    ranks = MeanRanks((3.0, 1.0, 2.0), 10, 1.0, 0.3, 0.5)
    assert ranks.alike() == [(1, 2, 0)]
    assert MeanRanks((3.0, 1.0, 2.0), 10, 9.0, 0.01, 0.5).alike() == []


def test_equal_strategies_are_told_apart_in_a_twentieth_of_tables() -> None:
    random = numpy.random.default_rng(2)
    apart = sum(mean_ranks(random.normal(size=(8, 5)).tolist()).differs for _ in range(300))
    assert apart <= 28  # 15 at 5 %, and one standard error is 3.8


@pytest.mark.parametrize(("tasks", "strategies"), [(4, 5), (6, 2)])
def test_too_few_are_refused(tasks: int, strategies: int) -> None:
    with pytest.raises(ValueError, match=f"{tasks} tasks and {strategies} strategies: at least 5 and 3"):
        mean_ranks([[0.0] * strategies] * tasks)
