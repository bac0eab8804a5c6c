"""Seeds and examples together: the parts equal a plain loop's, and made tables' true differences lie in the intervals."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from peftcli.report.statistics import contrast, examples
from peftcli.report.statistics.examples import Resampled, joint
from tests.benchmarks.coverage import World, covered


def made(seeds: int, source: np.random.Generator, spread: float = 1.0, resamples: int = 40) -> Resampled:
    values = dict(enumerate(source.normal(80, spread, seeds).tolist()))
    return Resampled(values, source.normal(80, 2, (seeds, resamples)), 50)


def by_hand(one: Any, other: Any, paired: bool) -> tuple[float, float, float]:
    """The interval and the degrees of freedom, with every mean and variance written out."""
    ours, theirs = (np.array(list(side.values.values())) for side in (one, other))
    seeds, freedom = ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs), 0.0
    freedom = seeds**2 / sum((x.var(ddof=1) / len(x)) ** 2 / (len(x) - 1) for x in (ours, theirs))
    if len(ours) != len(theirs):  # as the test over seeds has it
        freedom = (freedom + min(len(ours), len(theirs)) - 1) / 2
    groups = [one.resampled, other.resampled]
    if paired:
        seeds, freedom = (ours - theirs).var(ddof=1) / len(ours), len(ours) - 1
        groups = [one.resampled - other.resampled]
    inflated = one.examples / (one.examples - 1)
    means = one.resampled.mean(0) - other.resampled.mean(0)
    of_examples = means.var(ddof=1) * inflated
    # Seeds by examples: what is left of each seed's resampled score beside the seeds' mean, over n (n - 1).
    twice = 0.0
    for scores in groups:
        n = len(scores)
        rest = [(row - scores.mean(0)).var(ddof=1) for row in scores]
        twice += sum(rest) / (n * (n - 1)) * inflated
    variance = max(seeds - twice, 0) + of_examples
    joint_freedom = variance**2 / (seeds**2 / freedom + of_examples**2 / (one.examples - 1))
    half = max(stats.t.ppf(0.975, joint_freedom) * math.sqrt(variance), stats.t.ppf(0.975, freedom) * math.sqrt(seeds))
    estimate = ours.mean() - theirs.mean()
    return estimate - half, estimate + half, joint_freedom


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("spread", [0.1, 1.0, 8.0])
def test_the_parts_equal_a_plain_loop_s(paired: bool, spread: float) -> None:
    source = np.random.default_rng(3)
    one, other = made(4, source, spread), made(4 if paired else 6, source, spread)
    together = joint(one, other, paired)
    assert together is not None
    low, high, freedom = by_hand(one, other, paired)
    assert (together.low, together.high) == pytest.approx((low, high), abs=1e-9)
    assert together.freedom == pytest.approx(freedom)
    assert 0 <= together.seeds_share < 1


def test_a_seed_of_one_side_alone_is_left_out_of_pairs() -> None:
    source = np.random.default_rng(4)
    one, other = made(4, source), made(4, source)
    rows = [3, 0, 2]
    fewer = Resampled({seed: other.values[seed] for seed in rows}, other.resampled[rows], other.examples)
    both = Resampled({seed: one.values[seed] for seed in rows}, one.resampled[rows], one.examples)
    assert joint(one, fewer, paired=True) == joint(both, fewer, paired=True)


def test_no_interval_is_narrower_than_that_over_seeds() -> None:
    source, bound = np.random.default_rng(5), 0
    for _ in range(200):
        one, other = made(3, source, 2.0), made(3, source, 2.0)
        over_seeds = contrast.paired_t(one.values, other.values).interval()
        together = joint(one, other, paired=True)
        assert over_seeds is not None
        assert together is not None
        assert together.low <= over_seeds[0]
        bound += together.low == over_seeds[0]
    assert bound, "where seeds vary most, the examples' degrees of freedom would narrow it"


def test_two_seeds_and_seeds_that_do_not_vary_have_no_interval() -> None:
    source = np.random.default_rng(6)
    one, other = made(2, source), made(2, source)
    assert joint(one, other, paired=True) is None
    one = made(3, source)
    assert joint(one, replace(one, resampled=one.resampled + 1), paired=True) is None


def covered_of_normal(seeds_part: float, examples_part: float) -> float:
    """The share of 3,000 made tables of three pairs whose interval holds the true difference, 0.

    The parts are those of the variance of the mean: the seeds', the examples', and the rest is of seeds by examples.
    """
    n, count, tables = 3, 60, 3000
    source = np.random.default_rng(8)
    weights = source.multinomial(count, np.full(count, 1 / count), 300).T / count  # [examples, resamples]
    by_both = math.sqrt((1 - seeds_part - examples_part) * n * count)
    held = 0
    for _ in range(tables):
        scores = source.normal(0, math.sqrt(seeds_part * n), (n, 1)) + source.normal(0, by_both, (n, count))
        scores += source.normal(0, math.sqrt(examples_part * count), count)
        one = Resampled(dict(enumerate(scores.mean(1).tolist())), scores @ weights, count)
        together = joint(one, Resampled(dict.fromkeys(range(n), 0.0), np.zeros((n, 300)), count), paired=True)
        assert together is not None
        held += together.low <= 0 <= together.high
    return held / tables


ERROR = math.sqrt(0.05 * 0.95 / 3000)  # of a simulated share


def test_the_true_difference_is_in_as_many_intervals_as_is_said() -> None:
    assert covered_of_normal(0.9, 0.08) == pytest.approx(0.95, abs=3 * ERROR)
    assert covered_of_normal(0.4, 0.5) >= 0.95 - 3 * ERROR
    assert covered_of_normal(0.02, 0.9) >= 0.95 - 3 * ERROR


def test_so_it_is_with_answers_that_are_right_or_wrong() -> None:
    world = World("accuracy", seeds=3, examples=100, seeds_vary=0.2, own=0.6, shared=0.35)
    assert covered(world, 600) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 600)


def test_without_n_over_n_minus_1_it_is_in_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    deviation = contrast.describe.std
    monkeypatch.setattr(contrast.describe, "std", lambda values, ddof: deviation(values, 0))
    assert covered_of_normal(0.9, 0.08) < 0.93


def test_without_the_degrees_of_freedom_it_is_in_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    def normal(tested: Any, level: float = 0.95) -> tuple[float, float]:
        half = float(stats.norm.ppf((1 + level) / 2)) * tested.error
        return tested.estimate - half, tested.estimate + half

    monkeypatch.setattr(contrast.Contrast, "interval", normal)
    assert covered_of_normal(0.9, 0.08) < 0.9


def test_satterthwaite_s_are_between_those_of_the_seeds_and_of_the_examples() -> None:
    assert examples._freedom((1.0, 2), (0.0, 499), 1.0) == 2
    assert examples._freedom((0.0, 2), (1.0, 499), 1.0) == pytest.approx(499)
    assert examples._freedom((1.0, 2), (1.0, 499), 2.0) == pytest.approx(4 / (1 / 2 + 1 / 499))
