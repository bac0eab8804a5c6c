"""The interval of a mean: scipy's of Student's t, and none where there is nothing to go by."""

import pytest
from scipy import stats

from peftcli.report.statistics import intervals
from peftcli.report.statistics.contrast import Sample


@pytest.mark.parametrize("values", [[70.0, 72.5, 69.1], [1.0, 2.0, 3.0, 4.0, 9.5]])
def test_it_is_scipy_s(values: list[float]) -> None:
    sample = Sample.of(dict(enumerate(values)))
    assert sample is not None
    wanted = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert intervals.student(sample) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    narrow = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert intervals.student(sample, 0.9) == pytest.approx((narrow.low, narrow.high), rel=1e-12)


def test_a_printed_deviation_is_turned_into_a_sample_s() -> None:
    values = [70.0, 72.5, 69.1]
    wanted = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    printed = Sample.printed(sum(values) / 3, float(stats.tstd(values)) * (2 / 3) ** 0.5, 3, 0)
    assert intervals.student(printed) == pytest.approx((wanted.low, wanted.high), rel=1e-12)


def test_there_is_none_below_three_seeds_and_without_variance() -> None:
    for values in ({0: 1.0, 1: 2.0}, {0: 5.0}, {0: 5.0, 1: 5.0, 2: 5.0}):
        sample = Sample.of(values)
        assert sample is not None
        assert intervals.student(sample) is None
    assert intervals.student(Sample(5.0, None, 3)) is None
