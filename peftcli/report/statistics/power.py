"""How many seeds it takes to find a difference: the power of Student's t tests, by the noncentral t distribution.

Two-sided tests at level `alpha`, of paired differences or of two samples of n seeds each. Deviations are those of a
sample (ddof 1; `contrast.Sample` makes them so). Two samples may deviate unequally: the root of the mean of their
squares enters, with 2 (n - 1) degrees of freedom. Source: Cohen, Statistical Power Analysis (1988), chapter 2.

SciPy is imported when a power is asked for; its special functions alone, which start faster than `scipy.stats`.
"""

import math
from collections.abc import Iterable

from peftcli.report.statistics.contrast import ALPHA, LEAST_SEEDS

POWER = 0.8
MOST = 1_000  # seeds: beyond them nobody trains, and no number is named


def chance(difference: float, deviation: float | tuple[float, float], n: int, *, alpha: float = ALPHA) -> float:
    """Return the power of a test: the probability that n seeds find a true difference, as a fraction.

    `deviation`: that of the paired differences, or those of two samples as a pair. Without any deviation a difference is
    always found, and none is where there is none. Raises ValueError for fewer than two seeds.
    """
    if n < 2:
        raise ValueError(f"a t test takes at least two seeds, not {n}")
    from scipy import special

    if isinstance(deviation, tuple):
        spread, freedom, weight = root_mean_square(*deviation), 2 * (n - 1), math.sqrt(n / 2)
    else:
        spread, freedom, weight = deviation, n - 1, math.sqrt(n)
    if spread == 0:
        return 1.0 if difference else 0.0
    distance = abs(difference) / spread * weight  # the noncentrality: the true difference in standard errors
    critical = float(special.stdtrit(freedom, 1 - alpha / 2))
    above = 1 - float(special.nctdtr(freedom, distance, critical))
    # A test that finds the difference the wrong way round finds one all the same.
    below = float(special.nctdtr(freedom, distance, -critical))
    # SciPy has no number for the far tail where it is under 1e-15 (its values just before are).
    return above if math.isnan(below) else above + below


def seeds_needed(
    difference: float, deviation: float | tuple[float, float], *, power: float = POWER, alpha: float = ALPHA
) -> int | None:
    """Return the least number of seeds, 3 or more, that finds a true difference with this power; None beyond 1,000.

    `deviation` is as in `chance`; of two samples it is the number of each.
    """

    def enough(n: int) -> bool:
        return chance(difference, deviation, n, alpha=alpha) >= power

    low, high = LEAST_SEEDS - 1, LEAST_SEEDS
    while not enough(high):
        if high == MOST:
            return None
        low, high = high, min(2 * high, MOST)
    while high - low > 1:  # `high` is enough, `low` is not
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def root_mean_square(one: float, other: float) -> float:
    """Return the deviation that stands for two unequal ones, where both samples are of one size."""
    return math.hypot(one, other) / math.sqrt(2)


def pooled_freedom(deviations: Iterable[tuple[float, float]]) -> float:
    """Return the degrees of freedom of the root of the sum of squared deviations (Satterthwaite, 1946).

    `deviations` are independent, each with its own degrees of freedom. NaN where none is above 0.
    """
    squares = [(deviation**2, freedom) for deviation, freedom in deviations]
    parts = sum(square**2 / freedom for square, freedom in squares)
    return math.nan if parts == 0 else sum(square for square, _ in squares) ** 2 / parts


def deviation_interval(deviation: float, freedom: float, level: float = 0.95) -> tuple[float, float]:
    """Bound a normal deviation that was estimated with so many degrees of freedom, by the chi-square distribution.

    They need not be a whole number.
    """
    from scipy import special

    tail = (1 - level) / 2
    # chdtri(f, p) is the value that chi-square exceeds with probability p.
    low, high = (deviation * math.sqrt(freedom / float(special.chdtri(freedom, p))) for p in (tail, 1 - tail))
    return low, high
