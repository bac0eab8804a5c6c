"""The bias-corrected and accelerated bootstrap (BCa; Efron, 1987) of one sample's mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray
    from numpy.random import Generator


def of_mean(
    numbers: Sequence[float], level: float, resamples: int, decimals: int, source: "Generator"
) -> tuple[float, float]:
    """Return both ends of a mean's interval, in the numbers' unit; there must be two that differ to so many decimals.

    Means are rounded to `decimals`: resamples in another order must tie with the sample itself, or the bias correction
    counts rounding. Draws and results are those of `scipy.stats.bootstrap`, a module that takes most of a second to start.
    """
    import numpy
    from scipy import special

    sample, n = numpy.array(numbers), len(numbers)
    drawn = source.integers(0, n, (resamples, n))
    means = numpy.sort(sample[drawn].mean(-1).round(decimals))
    centre = sample.mean().round(decimals)
    # Half of the ties count as below.
    bias = special.ndtri(((means < centre).sum() + (means <= centre).sum()) / (2 * resamples))
    # How the mean moves as each number is left out says how skewed it is.
    others = numpy.broadcast_to(numpy.arange(n), (n, n))[~numpy.eye(n, dtype=bool)].reshape(n, n - 1)
    left_out = sample[others].mean(-1).round(decimals)
    leverage = (n - 1) * (left_out.mean() - left_out)
    squares = (leverage**2).sum() / n**2
    # Of many numbers that hardly differ, all means are one when rounded.
    skew = 1 / 6 * ((leverage**3).sum() / n**3) / squares ** (3 / 2) if squares else 0.0
    z = float(special.ndtri((1 - level) / 2))
    low, high = (float(special.ndtr(bias + (bias + end) / (1 - skew * (bias + end)))) for end in (z, -z))
    return _quantile(means, low), _quantile(means, high)


def _quantile(ascending: "ndarray", share: float) -> float:
    """Return the number below which this share of ascending ones lies, linear between two of them."""
    at = share * len(ascending) + (1 - share)  # from 1
    below, part = int(at) - 1, at % 1
    above = min(below + 1, len(ascending) - 1)
    return float((1 - part) * ascending[below] + part * ascending[above])
