"""The interquartile mean over runs and tasks, with an interval by the stratified bootstrap (Agarwal et al., NeurIPS 2021).

As rliable has it: the mean of all runs of all tasks together without their lowest and their highest quarter; resampled are the
runs of each task, the tasks staying what they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peftcli.report.statistics.contrast import LEAST_SEEDS, LEVEL
from peftcli.report.statistics.describe import generator

if TYPE_CHECKING:
    from numpy import ndarray

CUT = 0.25  # of the values, on either side
RESAMPLES = 2_000  # the ends of an interval then vary by a fiftieth of its width


@dataclass(frozen=True)
class Interquartile:
    """An interquartile mean of `runs` values a task, and its interval's ends; None below three runs."""

    mean: float
    low: float | None
    high: float | None
    runs: int
    tasks: int


def interquartile_mean(values: "ndarray") -> "ndarray":
    """Return the mean without the lowest and the highest quarter, over the last axis: scipy's `trim_mean` at 0.25."""
    import numpy

    count = values.shape[-1]
    cut = int(CUT * count)
    # Two order statistics are enough, and thousands of resamples take a third of the time that sorting takes.
    ordered = numpy.partition(values, (cut, count - cut - 1), axis=-1)
    middle: ndarray = ordered[..., cut : count - cut].mean(-1)
    return middle


def over_tasks(values: Sequence[Sequence[float]], seed: int = 0) -> Interquartile:
    """Return the interquartile mean of values [tasks, runs] with its 95 % interval, by 2,000 resamples of each task's runs.

    Resamples vary less than samples, by the root of (n - 1) / n: their distances from the task's mean are widened by
    that. In simulation the interval then covers 90 to 95 % at three runs, and 83 to 90 % as it is without (normal and
    exponential values, 5 and 9 tasks). The generator is made of `seed`. Raises ValueError for tasks of unequal counts.
    """
    import numpy

    matrix = numpy.array([list(map(float, of_task)) for of_task in values])
    tasks, runs = matrix.shape
    mean = float(interquartile_mean(matrix.reshape(-1)))
    if runs < LEAST_SEEDS:
        return Interquartile(mean, None, None, runs, tasks)
    centre = matrix.mean(1, keepdims=True)
    widened = centre + (matrix - centre) * (runs / (runs - 1)) ** 0.5
    drawn = generator(seed, "interquartile").integers(0, runs, (RESAMPLES, tasks, runs))
    # [resamples, tasks, runs]: each task's runs are drawn from that task's alone.
    resampled = widened[numpy.arange(tasks)[:, None], drawn].reshape(RESAMPLES, tasks * runs)
    low, high = numpy.quantile(interquartile_mean(resampled), ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
    return Interquartile(mean, low, high, runs, tasks)
