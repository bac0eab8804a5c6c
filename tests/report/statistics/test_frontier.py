"""The frontier of what is separable: steps that a test shows, and none that only the means make."""

import itertools

import numpy
import pytest

from peftcli.report.statistics import frontier
from peftcli.report.statistics.contrast import Sample
from tests.welch import welch


def _samples(*values: "list[float]") -> list[Sample]:
    samples = [Sample.of(dict(enumerate(each))) for each in values]
    return [sample for sample in samples if sample is not None]


CHEAP, NOISE, HIGH, SAME = [70.0, 70.4, 69.6], [71.0, 74.0, 69.0], [80.0, 80.3, 79.7], [80.4, 80.1, 80.2]


def test_a_step_needs_a_test_against_every_cheaper_point() -> None:
    samples = _samples(HIGH, CHEAP, NOISE, SAME)
    costs = [3.0, 1.0, 2.0, 4.0]
    scores = [sample.mean for sample in samples]
    better = frontier.shown_better(samples)
    # By means alone each is a step; NOISE is not shown to be above CHEAP, nor HIGH above NOISE, nor SAME above HIGH.
    assert frontier.by_scores_alone(costs, scores) == [1, 2, 0, 3]
    assert frontier.frontier(costs, scores, better) == [1]
    # Without the noisy one HIGH is better than all that is cheaper.
    assert frontier.frontier([3.0, 1.0, 5.0, 4.0], scores, better) == [1, 0]


def test_on_the_frontier_no_cheaper_point_is_better_or_not_shown_to_be_worse() -> None:
    random = numpy.random.default_rng(4)
    lengths = set()
    for _ in range(40):
        samples = _samples(*(random.normal(random.integers(4) * 3, 0.4, 5).tolist() for _ in range(8)))
        costs = random.integers(1, 6, 8).tolist()
        scores = [sample.mean for sample in samples]
        better = frontier.shown_better(samples)
        on = frontier.frontier(costs, scores, better)
        lengths.add(len(on))
        hidden = [
            at for at in range(8)
            if any(not better(at, o) for o in range(8)
                   if costs[o] < costs[at] or (costs[o] == costs[at] and scores[o] > scores[at]))
        ]  # fmt: skip
        assert sorted(on) == [at for at in range(8) if at not in hidden]
        assert [costs[at] for at in on] == sorted({costs[at] for at in on})
        assert all(better(high, low) for low, high in itertools.pairwise(on))
    assert len(lengths) > 2


def test_a_tread_goes_on_to_the_cheapest_that_is_better() -> None:
    samples = _samples(CHEAP, NOISE, HIGH, SAME)
    better = frontier.shown_better(samples)
    assert frontier.treads([1.0, 2.0, 3.0, 4.0], [0], better) == [3.0]  # HIGH is better, but NOISE may be as good
    assert frontier.treads([1.0, 5.0, 3.0, 4.0], [0, 2], better) == [3.0, None]


def test_better_is_games_howell_s_at_five_percent() -> None:
    samples = [[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 6.5, 7.5], [9.0, 9.1, 9.2, 9.3]]
    better = frontier.shown_better(_samples(*samples))
    wanted = set()
    for i, j in itertools.permutations(range(4), 2):
        if welch(samples[i], samples[j]).among(4) <= 0.025:
            wanted.add((i, j))
    assert wanted == {(pair) for pair in itertools.product(range(4), repeat=2) if better(*pair)}
    assert 0 < len(wanted) < 6


def test_two_seeds_and_no_variance_are_no_step() -> None:
    better = frontier.shown_better(_samples([1.0, 1.1], [9.0, 9.1], [5.0] * 3, [7.0] * 3))
    assert not any(better(*pair) for pair in itertools.permutations(range(4), 2))


def test_equal_means_make_a_step_in_at_most_a_twentieth_of_figures() -> None:
    random = numpy.random.default_rng(0)
    steps = 0
    for _ in range(400):
        samples = _samples(*random.normal(size=(6, 3)).tolist())
        on = frontier.frontier(list(range(6)), [s.mean for s in samples], frontier.shown_better(samples))
        steps += len(on) > 1
    # 400 figures: 20 at 5 %, and one standard error is 4.4 of them.
    assert steps <= 29
    assert steps / 400 == pytest.approx(0.01, abs=0.04)
