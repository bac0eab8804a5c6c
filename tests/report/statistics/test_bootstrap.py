"""The bootstrap interval of a mean: scipy's own, draw by draw; and numbers that hardly differ."""

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics import bootstrap

VALUES = [[70.1, 71.3], [61.0, 64.0, 65.0, 70.0, 52.0], [0.5, 0.5, 0.5, 0.9], [float(i**2 % 17) for i in range(25)]]


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("values", VALUES)
def test_the_ends_are_scipy_s(values: list[float], level: float) -> None:
    wanted = stats.bootstrap(
        (values,),
        lambda samples, axis: samples.mean(axis=axis).round(9),
        confidence_level=level,
        n_resamples=999,
        method="BCa",
        rng=numpy.random.default_rng(3),
    ).confidence_interval
    ends = bootstrap.of_mean(values, level, 999, 9, numpy.random.default_rng(3))
    assert ends == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert ends[0] < ends[1]


def test_numbers_whose_means_are_one_when_rounded_have_a_point() -> None:
    values = [0.0] * 19 + [2e-9]
    low, high = bootstrap.of_mean(values, 0.95, 999, 9, numpy.random.default_rng(0))
    assert 0 <= low <= high <= 1e-9
