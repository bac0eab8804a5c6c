"""Welch's test as the report has it, from SciPy's: the same t, with fewer degrees of freedom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy import stats


@dataclass(frozen=True)
class Welch:
    """A difference of two means: t of "it is 0", its standard error, the degrees of freedom."""

    t: float
    error: float
    freedom: float

    def above(self, boundary: float = 0.0) -> float:
        """The one-sided p-value of "the difference is at most the boundary"."""
        return float(stats.t.sf(self.t - boundary / self.error, self.freedom))

    @property
    def p_value(self) -> float:
        """The two-sided p-value."""
        return float(2 * stats.t.sf(abs(self.t), self.freedom))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval of the difference."""
        half = stats.t.ppf((1 + level) / 2, self.freedom)
        return float((self.t - half) * self.error), float((self.t + half) * self.error)

    def among(self, groups: int) -> float:
        """Games and Howell's one-sided p-value, as one of all pairs of so many means."""
        both = stats.studentized_range.sf(abs(self.t) * 2**0.5, groups, self.freedom)
        return float(both / 2 if self.t > 0 else 1 - both / 2)


def welch(one: Sequence[float], other: Sequence[float]) -> Welch:
    """The test of two samples."""
    return of_printed(
        *(number for side in (one, other) for number in (numpy.mean(side), numpy.std(side, ddof=1), len(side)))
    )


def of_printed(mean: float, deviation: float, n: int, other_mean: float, other_deviation: float, other_n: int) -> Welch:
    """The test of two means with their deviations (ddof 1) and counts."""
    theirs = stats.ttest_ind_from_stats(mean, deviation, n, other_mean, other_deviation, other_n, equal_var=False)
    least = min(n, other_n) - 1
    error = numpy.hypot(deviation / n**0.5, other_deviation / other_n**0.5)
    satterthwaite = error**4 / ((deviation**2 / n) ** 2 / (n - 1) + (other_deviation**2 / other_n) ** 2 / (other_n - 1))
    # A third of the way down where the counts are equal, half of it where they are not.
    freedom = (2 * satterthwaite + least) / 3 if n == other_n else (satterthwaite + least) / 2
    return Welch(float(theirs.statistic), float(error), float(freedom))
