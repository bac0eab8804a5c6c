"""Describing a few runs: mean, spread, ranks, and what a constant prediction scores.

Every function here takes plain numbers in any one unit. None, NaN and infinity mean "no value" (a missing or diverged
run) and are left out; `finite` tells how many are left, so that a caller can show it. A result that the values do not
determine is None, never 0. Tests of a difference are in `peftcli.report.statistics.contrast`.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from peftcli.report.statistics import bootstrap

if TYPE_CHECKING:
    from numpy.random import Generator

Value = float | None
FEW = 10  # below this many values a note says what they cannot show
RESAMPLES = 9_999
DECIMALS = 9  # numbers equal to so many decimals are equal: the rest is rounding


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean, in the unit of the values; `low` and `high` are None where there is none."""

    low: float | None
    high: float | None
    level: float
    n: int
    note: str


def finite(values: Iterable[Value]) -> list[float]:
    """Keep the numbers, in order: None, NaN and infinity are left out."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def mean(values: Iterable[Value]) -> float | None:
    """Average the finite values, their sum rounded once; None if there is none. Equal values average to themselves."""
    numbers = finite(values)
    if not numbers:
        return None
    # The division rounds too: without the bounds three values of 0.1 could average to a little more than 0.1.
    return min(max(fmean(numbers), min(numbers)), max(numbers))


def std(values: Iterable[Value], ddof: int) -> float | None:
    """Compute the standard deviation with the divisor `n - ddof`: 1 for a sample, 0 for a population.

    None where n <= ddof: one run has no sample deviation. Equal values give exactly 0.
    """
    numbers = finite(values)
    centre = mean(numbers)
    if centre is None or len(numbers) <= ddof:
        return None
    # The standard library's stdev and pstdev add exact fractions: five times as slow, and every sixth result differs in
    # its last bit, which reports print.
    deviations = [value - centre for value in numbers]
    # The second term takes back what the rounding of the centre added.
    squares = math.fsum(deviation**2 for deviation in deviations) - math.fsum(deviations) ** 2 / len(numbers)
    return math.sqrt(max(squares, 0.0) / (len(numbers) - ddof))


def generator(seed: int, name: str) -> "Generator":
    """Make the random generator that a named purpose has under a seed; a seed is an integer from 0."""
    from numpy.random import PCG64, Generator, SeedSequence

    return Generator(PCG64(SeedSequence([seed, *name.encode()])))


def bootstrap_interval(values: Sequence[Value], level: float = 0.95, seed: int = 0) -> Interval:
    """Bound a mean by the bias-corrected and accelerated bootstrap (BCa; Efron, 1987), 9,999 resamples.

    The resamples are drawn from a generator made of `seed`. Fewer than two values have no interval; equal ones a point.
    """
    numbers = finite(values)
    n = len(numbers)
    if n < 2:
        return Interval(None, None, level, n, f"n = {n}: no interval")
    if max(numbers) - min(numbers) < 10**-DECIMALS:
        return Interval(numbers[0], numbers[0], level, n, f"all {n} values are equal to nine decimals")
    low, high = bootstrap.of_mean(numbers, level, RESAMPLES, DECIMALS, generator(seed, "bootstrap_interval"))
    note = f"n = {n}: so few values make a bootstrap interval too narrow" if n < FEW else ""
    return Interval(low, high, level, n, note)


def rank(
    values: Sequence[Value],
    higher_is_better: bool = True,
    ties: Literal["competition", "average"] = "competition",
    decimals: int | None = None,
) -> list[float | None]:
    """Rank values, 1 for the best; a missing value has no rank (None) and leaves no gap.

    Ties: `competition` gives all of them the best rank and leaves the next ones free (1, 2, 2, 4), as Table 1 of the
    effectiveness paper does; `average` gives them the mean of their ranks (1, 2.5, 2.5, 4), as Spearman's rho wants.
    With `decimals` the values are ranked as printed: two that print alike are tied.
    """
    printed = (
        values if decimals is None else [value if value is None else float(f"{value:.{decimals}f}") for value in values]
    )
    numbers = finite(printed)
    ranks: list[float | None] = []
    for value in printed:
        if value is None or not math.isfinite(value):
            ranks.append(None)
            continue
        better = sum(other > value if higher_is_better else other < value for other in numbers)
        # Those tied fill the ranks from better + 1 to better + their number.
        ranks.append(better + 1 if ties == "competition" else better + (numbers.count(value) + 1) / 2)
    return ranks


def best_of_k_flattery(means: Mapping[Hashable, Value]) -> float | None:
    """Measure how much choosing flatters: the best choice's mean minus the mean of the others', in their unit.

    `means` has one mean per choice (a learning rate, say), higher being better. None with fewer than two finite means.
    """
    ascending = sorted(finite(means.values()))
    others = mean(ascending[:-1])
    return None if others is None else ascending[-1] - others


def majority_baseline(label_counts: Mapping[str, int], metric: str) -> float | None:
    """Score the best constant prediction on an evaluated split, as a fraction: what can be had without learning.

    `label_counts` holds examples (tokens) per label in the order of the class indices; `metric` is the metric's name.

    - accuracy, and f1_micro with every label counted: the share of the majority class.
    - f1 (two labels, index 1 positive): predicting every example positive, 2p / (1 + p) for a share p, even where the
      majority is negative: predicting that would score 0, and a collapsed run can do better.
    - mean_accuracy_f1: the better of the two constant predictions.
    - f1_macro: predicting the majority alone, averaged over the labels that occur, the others scoring 0.
    - matthews, pearson, spearman and their mean: 0 by convention, a constant agreeing with nothing beyond chance.

    None for any other metric (a loss depends on more than the label), without examples, and for f1 of other than two.
    """
    if metric in ("matthews", "pearson", "spearman", "mean_pearson_spearman"):
        return 0.0
    total = sum(label_counts.values())
    if total == 0:
        return None
    shares = [count / total for count in label_counts.values()]
    majority = max(shares)
    if metric in ("accuracy", "f1_micro"):
        return majority
    # The majority's recall is 1, its precision its share; labels that never occur are left out of the average.
    if metric == "f1_macro":
        return 2 * majority / (1 + majority) / sum(share > 0 for share in shares)
    if metric not in ("f1", "mean_accuracy_f1") or len(shares) != 2:
        return None
    negative, positive = shares
    # All negative has an F1 of 0: only its accuracy counts in the mean of the two.
    all_positive = 2 * positive / (1 + positive)
    return all_positive if metric == "f1" else max((positive + all_positive) / 2, negative / 2)
