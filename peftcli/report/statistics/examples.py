"""How far one strategy is above another over seeds and examples together: new seeds, and a new test set of the same size.

A test over seeds is about this test set. The Multi-Bootstrap (Sellam et al., 2022) draws seeds and examples together, the
same examples for every seed and both sides. What its seed half comes to is known without drawing, and with n seeds it is
n / (n - 1) too small; so here only examples are drawn, and the variance of the seeds' means is the sample's. The parts:

    seeds      s^2 / n of the scores over seeds: the seeds' own variance, and that of seeds by examples
    examples   the variance, over resamples, of the mean over seeds: the examples' own, and that of seeds by examples

Seeds by examples (which examples a seed gets right beside the others) is in both, and is taken out once; it shows in how
much less the mean over seeds varies over resamples than the seeds do each. Student's t has Satterthwaite's degrees of
freedom. An interval is never narrower than the one over seeds alone, which with three seeds it otherwise could be: the
part of the examples adds many degrees of freedom to the two of the seeds. `docs/statistics.md` has the simulated coverage.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peftcli.report.statistics.contrast import LEVEL, Contrast, Sample, contrast

RESAMPLES = 1_000  # the error of a standard error is then 2 %, with three seeds that of the seeds' own is 50 %


@dataclass(frozen=True)
class Resampled:
    """A strategy's scores: `values` by seed on the test set itself, and `resampled` [seeds, resamples], in the same order.

    Every strategy that is compared has the same resamples of the same `examples`.
    """

    values: dict[int, float]
    resampled: NDArray[np.floating]
    examples: int


@dataclass(frozen=True)
class Joint:
    """A difference over seeds and examples together: the estimate, its interval, t's degrees of freedom.

    `seeds_share` is how much of the variance is the seeds', and `examples` how many there are.
    """

    estimate: float
    low: float
    high: float
    level: float
    freedom: float
    seeds_share: float
    examples: int

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and its upper end."""
        return self.low, self.high


def joint(one: Resampled, other: Resampled, paired: bool) -> Joint | None:
    """Return how far one strategy's mean is above another's; `paired` says that the same seed controls the same thing.

    All in one unit. None where there is no test over seeds: below three of them, and where they do not vary.
    """
    samples = [Sample.of(side.values) for side in (one, other)]
    assert samples[0] is not None
    assert samples[1] is not None
    over_seeds = contrast(samples[0], samples[1], paired)
    if over_seeds.why_not:
        return None
    drawn, twice = _paired(one, other) if paired else _apart(one, other)
    # A bootstrap divides by the number of examples, where a sample's variance takes one less.
    scale = one.examples / (one.examples - 1)
    of_examples, twice = drawn.var(ddof=1) * scale, twice * scale
    variance = max(over_seeds.error**2 - twice, 0.0) + of_examples
    freedom = _freedom((over_seeds.error**2, over_seeds.freedom), (of_examples, one.examples - 1), variance)
    together = Contrast(over_seeds.estimate, math.sqrt(variance), freedom, "seeds and examples", over_seeds.n)
    low, high = zip(*(each.interval() or (math.inf, -math.inf) for each in (over_seeds, together)), strict=True)
    share = 1 - of_examples / variance
    return Joint(over_seeds.estimate, min(low), max(high), LEVEL, freedom, share, one.examples)


def _freedom(seeds: tuple[float, float], examples: tuple[float, float], variance: float) -> float:
    """Return Satterthwaite's degrees of freedom of a variance, from each part with its own."""
    return variance**2 / sum(part**2 / freedom for part, freedom in (seeds, examples))


def _paired(one: Resampled, other: Resampled) -> tuple[NDArray[np.floating], float]:
    """Return the mean difference in each resample [resamples], and the variance of seeds by examples in that mean."""
    both = [seed for seed in one.values if seed in other.values]
    rows, other_rows = ([list(side.values).index(seed) for seed in both] for side in (one, other))
    return _mean_and_rest(one.resampled[rows] - other.resampled[other_rows])


def _apart(one: Resampled, other: Resampled) -> tuple[NDArray[np.floating], float]:
    """Return the same where the seeds of the two sides have nothing to do with each other."""
    (mean, rest), (other_mean, other_rest) = (_mean_and_rest(side.resampled) for side in (one, other))
    return mean - other_mean, rest + other_rest


def _mean_and_rest(scores: NDArray[np.floating]) -> tuple[NDArray[np.floating], float]:
    """Split the scores [seeds, resamples] into the mean over seeds [resamples], and how much of its variance is the seeds' own.

    Of seeds that vary alike, the mean varies as each does; of n that vary apart, an n-th of that.
    """
    mean = scores.mean(0)
    return mean, float(scores.var(1, ddof=1).mean() - mean.var(ddof=1)) / (len(scores) - 1)
