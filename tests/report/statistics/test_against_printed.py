"""Our mean against a printed one: scipy's pooled t test, at the least extreme of what the printed digits stand for."""

import itertools
import math

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics import against_printed
from peftcli.report.statistics.contrast import Sample

OURS = [62.13, 60.42, 63.91, 61.07]


def sample(values: list[float]) -> Sample:
    made = Sample.of(dict(enumerate(values)))
    assert made is not None
    return made


def scipys(mean: float, deviation: float, n: int, ddof: int, ours: list[float] = OURS) -> float:
    theirs = deviation * math.sqrt((n - ddof) / (n - 1))
    summary = float(numpy.mean(ours)), float(numpy.std(ours, ddof=1)), len(ours)
    return float(stats.ttest_ind_from_stats(*summary, mean, theirs, n, equal_var=True).pvalue)


@pytest.mark.parametrize(("n", "ddof"), [(3, 1), (5, 0), (10, 1)])
def test_unrounded_numbers_give_scipy_s_pooled_test(n: int, ddof: int) -> None:
    for mean, deviation in ((58.3, 1.4), (61.9, 0.2), (70.0, 6.0), (61.0, 0.0)):
        ours = against_printed.p_value(sample(OURS), mean, deviation, n, ddof)
        assert ours == pytest.approx(scipys(mean, deviation, n, ddof), rel=1e-9)


@pytest.mark.parametrize(("mean", "deviation"), [(58.3, 1.4), (65.0, 0.0), (62.3, 0.1), (62.0, 3.0)])
def test_of_all_that_rounds_to_what_is_printed_the_least_extreme_counts(mean: float, deviation: float) -> None:
    ours = against_printed.p_value(sample(OURS), mean, deviation, 5, 1, 0.05, 0.05)
    means = numpy.linspace(mean - 0.05, mean + 0.05, 21)
    deviations = numpy.linspace(max(0.0, deviation - 0.05), deviation + 0.05, 11)
    every = [scipys(*pair, 5, 1) for pair in itertools.product(means.tolist(), deviations.tolist())]
    assert ours == pytest.approx(max(every), rel=1e-9)
    assert ours > scipys(mean, deviation, 5, 1), "rounding only ever takes a mark away"


def test_a_mean_within_the_rounding_is_no_other() -> None:
    ours = sample([61.02, 61.03, 61.04])  # their mean is printed as 61.0
    assert against_printed.p_value(ours, 61.0, 0.0, 3, 1, 0.05, 0.005) == 1.0
    assert against_printed.p_value(ours, 61.0, 0.01, 3, 1) == pytest.approx(
        scipys(61.0, 0.01, 3, 1, [61.02, 61.03, 61.04])
    )


def test_a_deviation_of_unknown_divisor_is_taken_as_the_wider_one() -> None:
    unknown = against_printed.p_value(sample(OURS), 58.3, 1.4, 5, None)
    assert unknown == against_printed.p_value(sample(OURS), 58.3, 1.4, 5, 0)
    assert unknown == pytest.approx(scipys(58.3, 1.4 * math.sqrt(5 / 4), 5, 1))
    assert unknown > scipys(58.3, 1.4, 5, 1)


@pytest.mark.parametrize(
    ("ours", "printed"),
    [
        (OURS, (None, 1.0, 5)),
        (OURS, (58.0, None, 5)),
        (OURS, (58.0, 1.0, None)),
        (OURS, (58.0, 1.0, 2)),
        (OURS[:2], (58.0, 1.0, 5)),
        ([61.0, 61.0, 61.0], (58.0, 0.0, 5)),
    ],
)
def test_what_cannot_be_tested_has_no_p(
    ours: list[float], printed: tuple[float | None, float | None, int | None]
) -> None:
    assert against_printed.p_value(sample(ours), *printed, 1) is None


@pytest.mark.parametrize("n", [3, 10])
def test_of_equal_cells_a_twentieth_is_told_apart_where_two_standard_errors_told_more(n: int) -> None:
    random = numpy.random.default_rng(n)
    cells, marked, by_two_errors = 2000, 0, 0
    for _ in range(cells):
        one, other = random.normal(60, 1.5, 3), random.normal(60, 1.5, n)
        p_value = against_printed.p_value(sample(one.tolist()), other.mean(), other.std(ddof=1), n, 1)
        assert p_value is not None
        marked += p_value < 0.05
        by_two_errors += abs(one.mean() - other.mean()) > 2 * math.hypot(stats.sem(one), stats.sem(other))
    assert marked / cells == pytest.approx(0.05, abs=0.015)  # three simulation errors
    assert by_two_errors / cells > 0.08
