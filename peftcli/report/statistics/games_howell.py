"""All pairs of several means at once, with unequal deviations and counts (Games and Howell, 1976).

A pair's difference over its Welch error, times the root of two, is referred to the studentized range of as many means as
there are: so the probability of telling any of some equal means apart is alpha, however many pairs they make. The degrees
of freedom are those of our Welch test: with Satterthwaite's alone, ten equal means of three seeds with unlike deviations are
told apart in 6.5 to 7.6 % of tables.
"""

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftcli.report.statistics.contrast import LEAST_SEEDS, Contrast, Sample, welch

if TYPE_CHECKING:
    from numpy import ndarray

NODES = 96  # of each of the two integrals
WIDEST, WIDTHS = 45.0, 4501  # the range of normal values, where it is looked up


def studentized_range(q: "ndarray", groups: int, freedom: "ndarray") -> "ndarray":
    """Return the probability that the studentized range of `groups` means exceeds each q, at its degrees of freedom.

    Within 1e-5 of SciPy's, which takes 12 ms a value where a table needs hundreds of them; this takes all at once.
    """
    import numpy
    from scipy import special

    nodes, weights = _nodes()
    # Over the logarithm y of the estimated deviation in true ones, as wide as its density is at these degrees of freedom.
    df = freedom[:, None]
    low, high = -18 / df - 5 / numpy.sqrt(df), numpy.log1p(12 / numpy.sqrt(df) + 40 / df) / 2
    y = low + (high - low) * (nodes + 1) / 2  # [values, nodes]
    log_density = df * y - df * numpy.exp(2 * y) / 2 + df / 2 * numpy.log(df / 2) - special.gammaln(df / 2)
    widths, beyond = _range_of_normals(groups)
    exceeding = numpy.interp(q[:, None] * numpy.exp(y), widths, beyond, right=0.0)
    p_values: ndarray = (exceeding * numpy.exp(log_density) * weights * (high - low)).sum(-1)
    return p_values.clip(0.0, 1.0)


@functools.cache  # finding them takes longer than a table's p-values
def _nodes() -> tuple["ndarray", "ndarray"]:
    """Return the nodes and weights of a Gauss-Legendre integral on [-1, 1]."""
    import numpy

    return numpy.polynomial.legendre.leggauss(NODES)


@functools.lru_cache(maxsize=128)
def _range_of_normals(groups: int) -> tuple["ndarray", "ndarray"]:
    """Tabulate the probability that the range of `groups` standard normal values exceeds a width: widths, probabilities."""
    import numpy

    widths = numpy.linspace(0, WIDEST, WIDTHS)
    return widths, _beyond(widths, groups)


def _beyond(widths: "ndarray", groups: int) -> "ndarray":
    """Return the probability that the range of `groups` standard normal values exceeds each width."""
    import numpy
    from scipy import special

    nodes, weights = _nodes()
    smallest = 8 * nodes  # of the values, on [-8, 8]
    density = numpy.exp(-(smallest**2) / 2) / math.sqrt(2 * math.pi)
    # The range is within a width where all other values lie between the smallest and it plus the width. [widths, nodes]
    between = special.ndtr(smallest + widths[:, None]) - special.ndtr(smallest)
    within = groups * 8 * (between ** (groups - 1) * density * weights).sum(-1)
    beyond: ndarray = (1 - within).clip(0.0, 1.0)
    return beyond


def pairs(samples: Sequence[Sample]) -> list[list[float | None]]:
    """Return for each two means the one-sided p-value of "the first is not above the second": [samples, samples].

    Corrected for all pairs of the samples that have a test; None where a pair has none (fewer than three seeds, no
    variance).
    """
    contrasts = {(i, j): welch(one, other) for i, one in enumerate(samples) for j, other in enumerate(samples) if i < j}
    tested = {pair: each for pair, each in contrasts.items() if not each.why_not}
    corrected: list[list[float | None]] = [[None] * len(samples) for _ in samples]
    groups = len({index for pair in tested for index in pair})
    for ((i, j), each), p_value in zip(tested.items(), _two_sided(list(tested.values()), groups), strict=True):
        above, below = (p_value / 2, 1 - p_value / 2) if each.estimate > 0 else (1 - p_value / 2, p_value / 2)
        corrected[i][j], corrected[j][i] = above, below
    return corrected


def against(samples: Sequence[Sample], one: int) -> list[float | None]:
    """Return the two-sided p-value of each mean being that of `samples[one]`, corrected for all pairs as `pairs` does.

    None for itself and where there is no test. So one of many rows is compared without the pairs of the others.
    """
    contrasts = {i: welch(samples[one], other) for i, other in enumerate(samples) if i != one}
    tested = {i: each for i, each in contrasts.items() if not each.why_not}
    # All that have a test with any other: of those with a deviation, all where one of them varies.
    varying = [sample.deviation for sample in samples if sample.deviation is not None and sample.n >= LEAST_SEEDS]
    corrected: list[float | None] = [None] * len(samples)
    for i, p_value in zip(tested, _two_sided(list(tested.values()), len(varying)), strict=True):
        corrected[i] = p_value
    return corrected


def _two_sided(contrasts: Sequence[Contrast], groups: int) -> list[float]:
    """Return the corrected two-sided p-value of each Welch test, of so many means."""
    if not contrasts:
        return []
    import numpy

    t = numpy.array([abs(each.estimate / each.error) for each in contrasts])
    degrees = numpy.array([each.freedom for each in contrasts])
    return list(map(float, studentized_range(t * math.sqrt(2), groups, degrees)))


def critical(groups: int, degrees: float, alpha: float) -> float:
    """Return how many standard errors two of `groups` means must be apart to be told apart, all pairs corrected.

    `degrees` may be infinite, where the deviation is known: the result then has twelve digits, else as many as the p-values.
    """
    import numpy

    def exceeding(q: "ndarray") -> "ndarray":
        if math.isinf(degrees):
            return _beyond(q, groups)
        return studentized_range(q, groups, numpy.full(len(q), degrees))

    low, high = 0.0, 8.0
    while float(exceeding(numpy.array([high]))[0]) > alpha:
        low, high = high, 2 * high
    for _ in range(8 if math.isinf(degrees) else 4):  # each narrows the bounds 64-fold
        grid = numpy.linspace(low, high, 65)
        at = int((exceeding(grid) > alpha).sum())  # falls with the range, so these come first
        low, high = float(grid[max(at - 1, 0)]), float(grid[min(at, 64)])
    return high / math.sqrt(2)
