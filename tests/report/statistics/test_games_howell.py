"""All pairs at once, against scipy's studentized range and its Games-Howell test."""

import math

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics import games_howell
from peftcli.report.statistics.contrast import Sample, welch


def _samples(*values: "list[float] | numpy.ndarray") -> list[Sample]:
    samples = [Sample.of(dict(enumerate(map(float, each)))) for each in values]
    return [sample for sample in samples if sample is not None]


@pytest.mark.parametrize(("groups", "freedom"), [(2, 2.0), (3, 2.6), (10, 4.5), (10, 18.0), (63, 3.0)])
def test_the_studentized_range_is_scipy_s(groups: int, freedom: float) -> None:
    q = [0.5, 2.0, 3.5, 6.0, 15.0]
    ours = games_howell.studentized_range(numpy.array(q), groups, numpy.full(5, freedom)).tolist()
    for value, p_value in zip(q, ours, strict=True):
        theirs = float(stats.studentized_range.sf(value, groups, freedom))
        assert p_value == pytest.approx(theirs, abs=1e-5, rel=1e-3)


def test_pairs_are_games_and_howell_s_with_a_direction() -> None:
    random = numpy.random.default_rng(1)
    values = [random.normal(mean, deviation, n) for mean, deviation, n in ((0, 1, 3), (2, 4, 5), (9, 1, 10), (9, 2, 5))]
    samples = _samples(*values)
    ours = games_howell.pairs(samples)
    for i, one in enumerate(samples):
        for j, other in enumerate(samples):
            if i == j:
                assert ours[i][j] is None
                continue
            difference = welch(one, other)
            q = abs(difference.estimate) / difference.error * math.sqrt(2)
            two_sided = float(stats.studentized_range.sf(q, 4, difference.freedom))
            expected = two_sided / 2 if difference.estimate > 0 else 1 - two_sided / 2
            assert ours[i][j] == pytest.approx(expected, abs=1e-4)


def test_those_without_a_test_take_no_part_and_cost_the_others_nothing() -> None:
    tested = [[1.0, 2.0, 4.0], [6.0, 6.5, 9.0], [3.0, 3.5, 2.0]]
    ours = games_howell.pairs(_samples(*tested, [5.0, 5.5]))  # two seeds
    assert [row[3] for row in ours] == [None] * 4
    assert [row[:3] for row in ours[:3]] == games_howell.pairs(_samples(*tested))
    assert games_howell.pairs(_samples([5.0, 5.0, 5.0], [5.0, 5.0, 5.0])) == [[None, None], [None, None]]


def test_against_one_it_is_a_row_of_all_pairs() -> None:
    random = numpy.random.default_rng(2)
    samples = _samples(*(random.normal(mean, 1 + mean, n) for mean, n in ((0, 3), (2, 5), (3, 10), (1, 4))), [5.0, 5.5])
    every = games_howell.pairs(samples)
    for one, row in enumerate(every):
        two_sided = [None if p_value is None else 2 * min(p_value, 1 - p_value) for p_value in row]
        assert games_howell.against(samples, one) == [
            None if p_value is None else pytest.approx(p_value) for p_value in two_sided
        ]
    assert games_howell.against(_samples([5.0, 5.0, 5.0], [5.0, 5.0, 5.0]), 0) == [None, None]


@pytest.mark.parametrize(("groups", "freedom"), [(2, 4.0), (10, 2.3), (70, 18.0)])
def test_the_critical_distance_is_scipys(groups: int, freedom: float) -> None:
    for alpha in (0.05, 0.1):
        wanted = stats.studentized_range.ppf(1 - alpha, groups, freedom) / 2**0.5
        assert games_howell.critical(groups, freedom, alpha) == pytest.approx(wanted, rel=2e-3)
