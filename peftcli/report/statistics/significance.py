"""Tests that papers make, as they make them: Welch's of printed cells, rank correlation, McNemar's on examples.

All tests are two-sided. None, NaN and infinity mean "no value": a pair is left out with either side, and the note says
how many were. What few values cannot show is said in the note too, and a test that cannot be made has no p-value.

SciPy is imported by the tests that need it, when they are made: a report without them starts without it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.report.statistics.describe import FEW, Value, finite, rank

EXACT_ORDERS = 8  # Spearman: 8! orders


@dataclass(frozen=True)
class Test:
    """One test: its name, statistic and two-sided p-value (None: cannot be made), what `n` it used, and a note.

    `n` counts values used: pairs in a paired test, both samples together in Welch's, examples in McNemar's.
    """

    name: str
    statistic: float | None
    p_value: float | None
    n: int
    note: str


def _pairs(a: Sequence[Value], b: Sequence[Value]) -> tuple[list[tuple[float, float]], list[str]]:
    """Return the pairs with both values, and a note on how many lack one."""
    pairs = [(both[0], both[1]) for pair in zip(a, b, strict=True) if len(both := finite(pair)) == 2]
    missing = len(a) - len(pairs)
    return pairs, [f"{missing} of {len(a)} pairs lack a value"] if missing else []


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Rank upwards, ties averaged, times two: whole numbers, whose sums are exact."""
    return [round(2 * each) for each in finite(rank(values, False, "average"))]


def welch_from_summary(
    mean: Value,
    std: Value,
    n: int,
    other_mean: Value,
    other_std: Value,
    other_n: int,
    *,
    ddof: int = 1,
    other_ddof: int = 1,
) -> Test:
    """Test two means, each with its standard deviation and that one's ddof (as papers print them), by Welch's t test.

    No p-value where a side has fewer than two values or lacks a number, or where neither side varies.
    """
    total, counts = n + other_n, f"n = {n} and {other_n}"
    if min(n, other_n) < 2 or len(finite([mean, std, other_mean, other_std])) < 4:
        return Test("Welch t", None, None, total, f"{counts}: not enough values with a mean and a deviation")
    assert mean is not None
    assert std is not None
    assert other_mean is not None
    assert other_std is not None
    if std == 0 and other_std == 0:
        return Test("Welch t", None, None, total, f"{counts}: neither side varies, so there is no test")
    from scipy import stats

    # SciPy wants sample deviations (ddof 1); some papers print the population's (ddof 0).
    sample, other = std * math.sqrt((n - ddof) / (n - 1)), other_std * math.sqrt((other_n - other_ddof) / (other_n - 1))
    test = stats.ttest_ind_from_stats(mean, sample, n, other_mean, other, other_n, equal_var=False)
    note = f"{counts}: few values, so it rests on their being normally distributed" if min(n, other_n) < FEW else counts
    return Test("Welch t", float(test.statistic), float(test.pvalue), total, note)


def spearman(x: Sequence[Value], y: Sequence[Value]) -> Test:
    """Correlate two sequences by their ranks; the statistic is Spearman's rho.

    The p-value is exact up to 8 pairs; beyond it comes from Student's t and is never below the 2 / n! that n orders
    allow. No rho with fewer than three pairs or a side that does not vary. Raises ValueError if the lengths differ.
    """
    pairs, notes = _pairs(x, y)
    n = len(pairs)
    left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if n < 3 or min(left) == max(left) or min(right) == max(right):
        reason = f"n = {n}: fewer than three pairs" if n < 3 else "one side does not vary"
        return Test("Spearman", None, None, n, "; ".join([*notes, f"{reason}, so there is no rank correlation"]))
    from scipy import stats

    correlation = stats.spearmanr(left, right)
    # Student's t can claim less than the share of the two extreme orders, which no sample of n can go below.
    p_value = _p_of_order(left, right) if n <= EXACT_ORDERS else max(float(correlation.pvalue), 2 / math.factorial(n))
    if n < FEW:
        notes.append(f"n = {n}: few pairs, {'exact p' if n <= EXACT_ORDERS else 'p from an approximation'}")
    return Test("Spearman", float(correlation.statistic), p_value, n, "; ".join(notes))


def _p_of_order(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the fraction of the orders of y whose rank covariance with x is as far from 0 as theirs, or further."""
    import numpy
    from scipy import stats

    # Doubled ranks are whole numbers, n + 1 on average: covariances of them are compared without rounding. Not twice
    # the smaller tail, which is SciPy's two-sided p: with ties the two tails are unlike.
    left, right = (numpy.array(_doubled_ranks(side)) - len(x) - 1 for side in (x, y))
    test = stats.permutation_test(
        (right,),
        lambda order, axis: abs((left * order).sum(axis=axis)),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=math.factorial(len(x)),  # all of them: SciPy then tries each once instead of drawing
    )
    return float(test.pvalue)


def mcnemar(correct_a: Sequence[bool], correct_b: Sequence[bool]) -> Test:
    """Test two classifiers on the same examples by McNemar's exact test: binomial on those only one gets right.

    The statistic is the examples only a gets right minus those only b gets right. No such example: p = 1, with a note.
    Raises ValueError if the lengths differ.
    """
    discordant = [bool(a) for a, b in zip(correct_a, correct_b, strict=True) if bool(a) != bool(b)]
    only_a, only_b = sum(discordant), len(discordant) - sum(discordant)
    note = f"only a right on {only_a}, only b right on {only_b}"
    if not discordant:
        return Test("McNemar exact", 0.0, 1.0, len(correct_a), f"{note}: right on the same examples, p = 1")
    from scipy import stats

    if len(discordant) < FEW:
        note += f": the smallest p these {len(discordant)} can reach is {2 / 2 ** len(discordant):.2g}"
    p_value = float(stats.binomtest(only_a, len(discordant)).pvalue)
    return Test("McNemar exact", float(only_a - only_b), p_value, len(correct_a), note)
