"""The difference of two means over seeds, by Student's t: its error, its interval, and on which side of a boundary it lies.

Paired where both sides' seeds control the same thing, else Welch's, which needs only a mean, a deviation and a count: so
printed cells are tested as our own are. A recipe fixes which, never the numbers. Below three seeds there is no test, and
where nothing varies there is none either: `why_not` says so, and then no p-value and no interval.

SciPy is imported when a p-value or an interval is asked for: a report without them starts without it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from peftcli.report.statistics import describe
from peftcli.report.statistics.describe import Value

LEAST_SEEDS = 3  # below, a deviation says next to nothing of itself
ALPHA = 0.05  # two-sided: each side has half of it
LEVEL = 1 - ALPHA
# How far from Satterthwaite's degrees of freedom down to the smaller sample's; `welch` says why.
SHARE_DOWN, SHARE_DOWN_UNLIKE = 1 / 3, 1 / 2
COLLAPSED_AMONG_FEW = f"a collapsed run among fewer than {describe.FEW} seeds"
NO_VARIANCE = "no variance"


@dataclass(frozen=True)
class Sample:
    """A mean over seeds, with its standard deviation and how many there were.

    `deviation` is the sample's, its divisor n - 1; None where there is none. `values` are by seed, the mean of a seed's
    runs where it has several; None for printed numbers.
    """

    mean: float
    deviation: float | None
    n: int
    values: Mapping[int, float] | None = None

    @classmethod
    def of(cls, values: Mapping[int, Value]) -> Self | None:
        """Return the sample of values by seed, without those that are missing; None where none is left."""
        by_seed = {seed: value for seed, value in values.items() if value is not None and math.isfinite(value)}
        mean = describe.mean(by_seed.values())
        return None if mean is None else cls(mean, describe.std(by_seed.values(), 1), len(by_seed), by_seed)

    @classmethod
    def printed(cls, mean: float, deviation: float | None, n: int | None, ddof: int) -> Self:
        """Return the sample that a paper printed, its deviation taken with `ddof`; `n` is None where it is not stated."""
        if deviation is None or n is None or n < 2:
            return cls(mean, None, n or 0)
        return cls(mean, deviation * math.sqrt((n - ddof) / (n - 1)), n)

    @property
    def error(self) -> float:
        """The standard error of the mean; NaN where there is no deviation."""
        return math.nan if self.deviation is None else self.deviation / math.sqrt(self.n)


@dataclass(frozen=True)
class Contrast:
    """How far one mean is above another: the estimate, its standard error, the degrees of freedom of Student's t.

    `test` names the test, `n` says in words what it is over ("5 pairs", "3 and 10"). `why_not` says why there is no
    test, "" where there is one.
    """

    estimate: float
    error: float
    freedom: float
    test: str
    n: str
    why_not: str = ""

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """Return the confidence interval of the difference; None where there is no test."""
        if self.why_not:
            return None
        from scipy import special

        half = float(special.stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.estimate - half, self.estimate + half

    def p_above(self, boundary: float = 0.0) -> float:
        """Return the one-sided p-value of "the difference is at most the boundary"; 1 where there is no test."""
        return self._p((self.estimate - boundary) / self.error) if not self.why_not else 1.0

    def p_below(self, boundary: float = 0.0) -> float:
        """Return the one-sided p-value of "the difference is at least the boundary"; 1 where there is no test."""
        return self._p((boundary - self.estimate) / self.error) if not self.why_not else 1.0

    def p_value(self, boundary: float = 0.0) -> float | None:
        """Return the two-sided p-value of "the difference is the boundary"; None where there is no test."""
        return None if self.why_not else min(1.0, 2 * min(self.p_above(boundary), self.p_below(boundary)))

    def _p(self, t: float) -> float:
        from scipy import special

        return float(special.stdtr(self.freedom, -t))


def collapsed_among_few(collapsed: bool, *seeds: int) -> bool:
    """Say whether a run collapsed on a side of a comparison of which one has few seeds: these are too far from normal for t."""
    return collapsed and min(seeds) < describe.FEW


def contrast(one: Sample, other: Sample, paired: bool) -> Contrast:
    """Return how far one mean is above another; `paired` says that the same seed controls the same thing on both sides."""
    if paired and one.values is not None and other.values is not None:
        return paired_t(one.values, other.values)
    return welch(one, other)


def paired_t(one: Mapping[int, float], other: Mapping[int, float]) -> Contrast:
    """Compare values seed by seed. A seed that only one side has is left out; the means are those of the pairs."""
    differences = [one[seed] - other[seed] for seed in one if seed in other]
    n = len(differences)
    estimate = describe.mean(differences)
    deviation = describe.std(differences, 1)
    words = f"{n} pair{'s' * (n != 1)}"
    if estimate is None:
        return Contrast(math.nan, math.nan, math.nan, "paired t", words, "no seed in common")
    if n < LEAST_SEEDS or deviation is None:
        return Contrast(estimate, math.nan, math.nan, "paired t", words, f"fewer than {LEAST_SEEDS} seeds")
    # Differences of fractions that are equal differ in their last bits.
    if deviation < 10**-describe.DECIMALS:
        return Contrast(estimate, math.nan, math.nan, "paired t", words, NO_VARIANCE)
    return Contrast(estimate, deviation / math.sqrt(n), n - 1, "paired t", words)


def welch(one: Sample, other: Sample) -> Contrast:
    """Compare two samples of seeds that have nothing to do with each other, with unequal deviations and counts.

    The degrees of freedom lie between Satterthwaite's and those of the smaller sample: a third of the way down where both
    have as many seeds, half of it where not. With Satterthwaite's alone, deviations of 1:4 err in 2.8 % of equal means of
    3 seeds on each side, equal deviations of 3 and 10 seeds in 3.2 %; with these in 2.5 and 2.4 % (400,000 tables).
    """
    estimate, n = one.mean - other.mean, f"{one.n} and {other.n}"
    if one.deviation is None or other.deviation is None or min(one.n, other.n) < LEAST_SEEDS:
        few = "no deviation" if min(one.n, other.n) >= LEAST_SEEDS else f"fewer than {LEAST_SEEDS} seeds"
        return Contrast(estimate, math.nan, math.nan, "Welch's t", n, few)
    squares = one.error**2, other.error**2
    if max(one.deviation, other.deviation) < 10**-describe.DECIMALS:
        return Contrast(estimate, math.nan, math.nan, "Welch's t", n, NO_VARIANCE)
    satterthwaite = sum(squares) ** 2 / (squares[0] ** 2 / (one.n - 1) + squares[1] ** 2 / (other.n - 1))
    down = SHARE_DOWN if one.n == other.n else SHARE_DOWN_UNLIKE
    freedom = satterthwaite - down * (satterthwaite - (min(one.n, other.n) - 1))
    return Contrast(estimate, math.sqrt(sum(squares)), freedom, "Welch's t", n)
