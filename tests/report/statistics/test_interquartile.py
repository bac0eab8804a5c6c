"""The interquartile mean: scipy's trimmed mean, and an interval against a plain loop over resamples."""

import numpy
import pytest
from scipy import stats

from peftcli.report.statistics import interquartile
from peftcli.report.statistics.describe import generator


@pytest.mark.parametrize(("tasks", "runs"), [(5, 3), (7, 10), (8, 1), (5, 4), (9, 25)])
def test_it_is_the_trimmed_mean_of_all_runs_of_all_tasks(tasks: int, runs: int) -> None:
    values = numpy.random.default_rng(tasks).standard_cauchy((tasks, runs))
    ours = interquartile.over_tasks(values.tolist())
    assert ours.mean == pytest.approx(stats.trim_mean(values, 0.25, axis=None), rel=1e-12)
    assert (ours.runs, ours.tasks) == (runs, tasks)


def test_over_the_last_axis_it_is_scipy_s() -> None:
    values = numpy.random.default_rng(0).normal(size=(6, 13))
    assert interquartile.interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=1), rel=1e-12)


def test_the_interval_is_that_of_a_plain_loop_over_each_task_s_runs() -> None:
    values = numpy.random.default_rng(3).normal([[0.0], [5.0], [1.0], [2.0], [-9.0]], 1.0, (5, 4))
    drawn = generator(0, "interquartile").integers(0, 4, (interquartile.RESAMPLES, 5, 4))
    means = []
    for resample in drawn:
        pooled = []
        for task, indices in zip(values, resample, strict=True):
            pooled += [task.mean() + (4 / 3) ** 0.5 * (task[at] - task.mean()) for at in indices]
        means.append(stats.trim_mean(pooled, 0.25))
    ours = interquartile.over_tasks(values.tolist())
    assert (ours.low, ours.high) == pytest.approx(numpy.quantile(means, [0.025, 0.975]), rel=1e-12)
    assert interquartile.over_tasks(values.tolist()) == ours
    assert interquartile.over_tasks(values.tolist(), seed=1) != ours


def test_tasks_are_not_resampled() -> None:
    """Tasks apart by far, runs equal: nothing varies."""
    ours = interquartile.over_tasks([[float(10 * task)] * 3 for task in range(6)])
    assert ours.low == ours.mean == ours.high == 25.0


def test_below_three_runs_there_is_no_interval_and_tasks_count_alike() -> None:
    ours = interquartile.over_tasks([[1.0, 2.0]] * 5)
    assert (ours.mean, ours.low, ours.high) == (1.5, None, None)
    with pytest.raises(ValueError):
        interquartile.over_tasks([[1.0, 2.0, 3.0], [1.0, 2.0]])


@pytest.mark.parametrize("runs", [3, 5])
def test_it_covers_nine_times_in_ten(runs: int) -> None:
    random = numpy.random.default_rng(runs)
    covered = 0
    for _ in range(200):
        ours = interquartile.over_tasks(random.normal(0.0, 1.0, (5, runs)).tolist())
        covered += (ours.low or 0.0) <= 0.0 <= (ours.high or 0.0)
    # One standard error of 0.93 over 200 is 0.018; without the widening three runs come to 0.86.
    assert covered / 200 >= 0.9
