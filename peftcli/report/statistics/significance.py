"""Testing whether runs differ: paired where seeds match, Welch's where not; rank correlation; McNemar's on examples.

All tests are two-sided. None, NaN and infinity mean "no value": a pair is left out with either side, and the note says
how many were. What few values cannot show is said in the note too, and a test that cannot be made has no p-value.

SciPy is imported by the tests that need it, when they are made: a report without them starts without it.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from peftcli.report.statistics.describe import DECIMALS, FEW, RESAMPLES, Value, finite, generator, mean, rank, std

Seed = TypeVar("Seed", bound=Hashable)
EXACT_PAIRS = 100  # Wilcoxon: the exact distribution takes about n^3 / 2 additions
EXACT_SIGNS = 16  # sign flips: 2^16 sums
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


def compare(a: Mapping[Seed, Value], b: Mapping[Seed, Value]) -> Test:
    """Test two strategies' values by seed: Wilcoxon's where the seeds are the same, Welch's where they are not.

    A diverged run belongs in its mapping with the value None: it removes its pair and does not unpair the rest.
    """
    if a.keys() == b.keys():
        return wilcoxon(list(a.values()), [b[seed] for seed in a])
    return welch(list(a.values()), list(b.values()))


def wilcoxon(a: Sequence[Value], b: Sequence[Value]) -> Test:
    """Test paired values by Wilcoxon's signed ranks; the statistic is the smaller rank sum.

    Zero differences are left out (Wilcoxon's way); tied ones share their mean rank. The p-value is exact (ties
    included) up to 100 pairs, and from the normal distribution beyond. All differences zero: p = 1, with a note.
    Raises ValueError if the lengths differ.
    """
    pairs, notes = _pairs(a, b)
    # Equal differences of fractions differ in their last bits: without rounding they would not be tied.
    nonzero = [difference for x, y in pairs if (difference := round(x - y, DECIMALS)) != 0]
    if not nonzero:
        return _no_difference("Wilcoxon signed-rank", len(pairs), notes)
    doubled = _doubled_ranks([abs(difference) for difference in nonzero])
    positive = sum(r for r, difference in zip(doubled, nonzero, strict=True) if difference > 0)
    smaller = min(positive, sum(doubled) - positive)
    notes += _smallest_p("a Wilcoxon test", len(pairs), len(nonzero))
    if len(nonzero) <= EXACT_PAIRS:
        # Counted here, since SciPy's exact distribution knows no ties, and its permutation method visits all 2^n sign
        # patterns one by one: 0.3 s for 13 pairs where this takes 0.2 ms, and out of reach for 20 tied seeds.
        p_value = min(1.0, 2 * sum(_subsets_by_sum(doubled)[: smaller + 1]) / 2 ** len(nonzero))
    else:
        from scipy import stats

        p_value = float(stats.wilcoxon(nonzero, correction=True).pvalue)
        notes.append("normal approximation")
    return Test("Wilcoxon signed-rank", smaller / 2, p_value, len(pairs), "; ".join(notes))


def _pairs(a: Sequence[Value], b: Sequence[Value]) -> tuple[list[tuple[float, float]], list[str]]:
    """Return the pairs with both values, and a note on how many lack one."""
    pairs = [(both[0], both[1]) for pair in zip(a, b, strict=True) if len(both := finite(pair)) == 2]
    missing = len(a) - len(pairs)
    return pairs, [f"{missing} of {len(a)} pairs lack a value"] if missing else []


def _no_difference(name: str, n: int, notes: list[str]) -> Test:
    """A paired test of pairs that are all equal, or of no pairs."""
    if n == 0:
        return Test(name, None, None, 0, "; ".join([*notes, "no pairs"]))
    return Test(name, 0.0, 1.0, n, "; ".join([*notes, f"n = {n}: every difference is zero, p = 1"]))


def _smallest_p(test: str, n: int, nonzero: int) -> list[str]:
    """Note what p-value so few pairs can reach at best: every difference of one sign, 2 of 2^nonzero sign patterns."""
    count = f"n = {n}" if nonzero == n else f"n = {n}, {n - nonzero} of them zero"
    if nonzero < FEW:
        return [f"{count}: the smallest p {test} can reach is {2 / 2**nonzero:.2g}"]
    return [] if nonzero == n else [count]


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Rank upwards, ties averaged, times two: whole numbers, whose sums are exact."""
    return [round(2 * each) for each in finite(rank(values, False, "average"))]


def _subsets_by_sum(ranks: Sequence[int]) -> list[int]:
    """Count the subsets of `ranks` by their sum: element s is how many sum to s."""
    counts = [1] + [0] * sum(ranks)
    # A subset that sums to s either leaves this rank out, or takes it and sums to s - r without it.
    for r in ranks:
        counts = [count + (counts[s - r] if s >= r else 0) for s, count in enumerate(counts)]
    return counts


def sign_flip(a: Sequence[Value], b: Sequence[Value], seed: int = 0) -> Test:
    """Test paired values by flipping the signs of their differences; the statistic is the mean difference, a - b.

    Every flip is tried up to 16 pairs that differ; beyond, 9,999 drawn from a generator made of `seed`, the
    observed one counted among them. All differences zero: p = 1, with a note. Raises ValueError if the lengths differ.
    """
    pairs, notes = _pairs(a, b)
    differences = [x - y for x, y in pairs if round(x - y, DECIMALS) != 0]
    if not differences:
        return _no_difference("sign-flip permutation", len(pairs), notes)
    from scipy import stats

    notes += _smallest_p("a sign-flip test", len(pairs), len(differences))
    if len(differences) <= EXACT_SIGNS:
        # Asked for as many flips as there are, SciPy tries each once instead of drawing. It wants two values or more: a
        # zero adds nothing to a sum. Sums are rounded, so that equal ones that differ in their last bits are equal.
        test = stats.permutation_test(
            ([*differences, 0.0],),
            lambda flipped, axis: abs(flipped.sum(axis=axis)).round(DECIMALS),
            permutation_type="samples",
            alternative="greater",
            n_resamples=2 ** (len(differences) + 1),
        )
        p_value = float(test.pvalue)
    else:
        observed = abs(math.fsum(differences)) - 1e-9 * math.fsum(map(abs, differences))
        signs = generator(seed, "sign_flip").integers(0, 2, (RESAMPLES, len(differences))) * 2 - 1
        p_value = (int((abs(signs @ differences) >= observed).sum()) + 1) / (RESAMPLES + 1)
        notes.append(f"{RESAMPLES:,} random flips, seed {seed}")
    statistic = math.fsum(differences) / len(pairs)
    return Test("sign-flip permutation", statistic, p_value, len(pairs), "; ".join(notes))


def welch(a: Sequence[Value], b: Sequence[Value]) -> Test:
    """Test two unpaired samples' means by Welch's t test; the statistic is t, positive where a is higher."""
    left, right = finite(a), finite(b)
    return welch_from_summary(mean(left), std(left, 1), len(left), mean(right), std(right, 1), len(right))


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
