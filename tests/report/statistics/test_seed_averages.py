"""Averages over columns: each seed's first, so that their deviation is not that of the columns."""

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics import intervals
from peftcli.report.statistics.contrast import Sample
from peftcli.report.statistics.seed_averages import average


def _sample(*values: float, seeds: "tuple[int, ...] | None" = None) -> Sample:
    sample = Sample.of(dict(zip(seeds or range(len(values)), values, strict=True)))
    assert sample is not None
    return sample


def test_an_average_varies_as_its_seeds_averages_do() -> None:
    columns = numpy.random.default_rng(2).normal(70, 3, (4, 5))  # [columns, seeds]
    whole = average([_sample(*column) for column in columns.tolist()])
    assert whole.mean == pytest.approx(columns.mean(), rel=1e-12)
    assert whole.deviation == pytest.approx(columns.mean(0).std(ddof=1), rel=1e-12)
    wanted = stats.ttest_1samp(columns.mean(0), 0.0).confidence_interval(0.95)
    assert intervals.student(whole) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    # Seeds that are good on one column and bad on the other: their average does not vary.
    opposed = average([_sample(70.0, 72.0, 74.0), _sample(74.0, 72.0, 70.0)])
    assert (opposed.mean, opposed.deviation) == (72.0, 0.0)


def test_other_seeds_have_an_average_without_a_deviation() -> None:
    for other in (_sample(1.0, 2.0, 3.0, seeds=(1, 2, 3)), _sample(1.0, 2.0), Sample(2.0, 0.5, 3)):
        for columns in ([_sample(4.0, 5.0, 6.0), other], [other, _sample(4.0, 5.0, 6.0)]):
            whole = average(columns)
            assert whole == Sample((5.0 + other.mean) / 2, None, 0)
            assert intervals.student(whole) is None
