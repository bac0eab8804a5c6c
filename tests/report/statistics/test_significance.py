"""Tests of a difference, against enumeration in exact fractions, scipy, pandas and the papers' own cells."""

import itertools
import math
from fractions import Fraction
from statistics import NormalDist

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from peftcli.report.statistics import significance

HALVES = st.lists(st.integers(-6, 6), min_size=1, max_size=8)
# Table 1 of the effectiveness paper: mean and deviation of ten methods on CoLA, STS-B, MRPC, RTE, CB, COPA and WSC.
MEANS = [
    [58.36, 58.35, 58.66, 56.67, 56.57, 62.11, 60.88, 58.53, 60.00, 60.89],
    [89.80, 89.81, 90.15, 90.12, 90.30, 90.05, 87.19, 89.59, 89.97, 90.59],
    [89.55, 88.73, 88.69, 87.35, 88.09, 89.29, 89.53, 78.79, 87.19, 88.84],
    [76.03, 72.71, 77.55, 72.74, 73.53, 76.93, 76.97, 69.93, 75.76, 76.79],
    [88.93, 90.54, 86.51, 86.96, 81.25, 87.32, 84.64, 86.25, 86.61, 88.93],
    [67.70, 68.80, 71.30, 71.20, 71.50, 69.50, 69.70, 72.10, 69.40, 74.30],
    [53.10, 52.88, 52.98, 55.10, 55.67, 57.02, 56.84, 53.37, 55.59, 59.52],
]
DEVIATIONS = [
    [1.74, 1.05, 1.96, 1.45, 2.47, 1.22, 1.48, 1.49, 1.29, 0.96],
    [0.52, 0.11, 0.17, 0.14, 0.14, 0.13, 0.51, 0.34, 1.51, 0.14],
    [0.81, 0.80, 0.60, 0.58, 0.79, 0.60, 0.62, 6.09, 3.86, 0.49],
    [2.14, 3.23, 1.64, 2.47, 1.84, 2.05, 1.92, 7.87, 4.38, 1.72],
    [2.37, 3.39, 4.13, 3.20, 3.50, 4.62, 3.76, 2.65, 3.22, 1.75],
    [4.41, 2.64, 4.84, 3.79, 2.46, 2.54, 2.83, 2.91, 4.00, 2.45],
    [6.18, 5.97, 6.78, 5.39, 2.73, 5.27, 4.52, 3.60, 3.81, 3.08],
]


def _share_as_extreme(statistics: list[Fraction], observed: Fraction, centre: Fraction) -> Fraction:
    distance = abs(observed - centre)
    return Fraction(sum(abs(value - centre) >= distance for value in statistics), len(statistics))


def _signed_rank(signed: list[int], magnitudes: list[int]) -> Fraction:
    """The sum of the average ranks of the positive differences."""
    order = sorted(magnitudes)
    ranks = {m: Fraction(2 * order.index(m) + 1 + order.count(m), 2) for m in magnitudes}
    return sum((ranks[abs(value)] for value in signed if value > 0), Fraction(0))


def _flips(values: list[int]) -> list[list[int]]:
    return [
        [s * v for s, v in zip(signs, values, strict=True)] for signs in itertools.product((1, -1), repeat=len(values))
    ]


@settings(max_examples=60, deadline=None)
@given(HALVES)
def test_wilcoxon_is_exact_with_ties_and_zeros(differences: list[int]) -> None:
    result = significance.wilcoxon([0.3 + d / 7 for d in differences], [0.3] * len(differences))
    nonzero = [d for d in differences if d]
    magnitudes = [abs(d) for d in nonzero]
    total = Fraction(len(nonzero) * (len(nonzero) + 1), 2)
    up = _signed_rank(nonzero, magnitudes)
    everything = [_signed_rank(flip, magnitudes) for flip in _flips(nonzero)]
    assert result.n == len(differences)
    assert result.statistic == min(up, total - up)
    assert result.p_value == float(_share_as_extreme(everything, up, total / 2))


@pytest.mark.parametrize("n", [3, 10, 49, 100])
def test_wilcoxon_equals_scipy_exact_without_ties(n: int) -> None:
    draws = numpy.random.default_rng(n)
    a, b = draws.normal(0.3, 1, n), draws.normal(0, 1, n)
    result, expected = significance.wilcoxon(list(a), list(b)), stats.wilcoxon(a, b, method="exact")
    assert result.statistic == expected.statistic
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_wilcoxon_equals_scipys_permutations_with_ties_and_zeros(seed: int) -> None:
    differences = numpy.random.default_rng(seed).integers(-4, 5, 4 + seed % 4)
    result = significance.wilcoxon([0.3 + d / 7 for d in differences], [0.3] * len(differences))
    every = stats.PermutationMethod(n_resamples=2 ** len(differences))
    expected = stats.wilcoxon(differences[differences != 0], method=every)
    assert (result.statistic, result.p_value) == (expected.statistic, expected.pvalue)


def test_wilcoxon_beyond_a_hundred_pairs_is_the_normal_approximation() -> None:
    n, draws = 101, numpy.random.default_rng(0)
    differences = draws.normal(0.2, 1, n)
    result = significance.wilcoxon(list(differences), [0.0] * n)
    # No ties: mean n(n+1)/4, variance n(n+1)(2n+1)/24, continuity correction of a half.
    z = (n * (n + 1) / 4 - (result.statistic or 0) - 0.5) / math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    assert result.p_value == pytest.approx(2 * NormalDist().cdf(-z), rel=1e-9)
    assert result.note == "normal approximation"


def test_wilcoxon_says_what_three_seeds_can_show() -> None:
    result = significance.wilcoxon([0.7, 0.8, 0.9], [0.1, 0.1, 0.1])
    assert (result.statistic, result.p_value) == (0.0, 0.25)
    assert result.note == "n = 3: the smallest p a Wilcoxon test can reach is 0.25"
    assert significance.wilcoxon([1.0] * 10, [0.0] * 10).note == ""


@pytest.mark.parametrize("test", [significance.wilcoxon, significance.sign_flip])
def test_paired_tests_without_a_difference_or_a_pair(test) -> None:
    same = test([0.1 + 0.2, 0.6, None], [0.3, 0.6, 0.7])
    assert (same.statistic, same.p_value, same.n) == (0.0, 1.0, 2)
    assert same.note == "1 of 3 pairs lack a value; n = 2: every difference is zero, p = 1"
    empty = test([None, float("nan")], [0.5, 0.6])
    assert (empty.statistic, empty.p_value, empty.n) == (None, None, 0)
    assert "no pairs" in empty.note
    with pytest.raises(ValueError, match="zip"):
        test([0.5], [0.5, 0.6])


@pytest.mark.parametrize("test", [significance.wilcoxon, significance.sign_flip])
def test_paired_tests_leave_out_incomplete_pairs_and_say_so(test) -> None:
    result = test([0.5, 0.6, None, 0.9, 0.4], [0.4, 0.3, 0.5, float("inf"), 0.4])
    assert result.n == 3
    assert result.p_value == 0.5
    assert result.note.startswith("2 of 5 pairs lack a value; n = 3, 1 of them zero: the smallest p ")
    assert result.note.endswith(" can reach is 0.5")


@settings(max_examples=60, deadline=None)
@given(HALVES)
def test_sign_flips_are_all_tried(differences: list[int]) -> None:
    result = significance.sign_flip([60 + d / 7 for d in differences], [60.0] * len(differences))
    sums = [Fraction(sum(flip)) for flip in _flips(differences)]
    assert result.p_value == float(_share_as_extreme(sums, Fraction(sum(differences)), Fraction(0)))
    assert result.statistic == pytest.approx(sum(differences) / 7 / len(differences), abs=1e-12)


def test_random_sign_flips_are_near_the_exact_share_and_depend_on_the_seed_alone() -> None:
    differences = [0.9, -0.4, 0.8, 0.1, -0.2, 0.5, 0.6, -0.7, 0.3, 0.2, -0.1, 0.4, 0.7, -0.3, 0.15, 0.25, 0.05]
    sums = numpy.zeros(1)
    for difference in differences:
        sums = numpy.concatenate([sums + difference, sums - difference])
    exact = (abs(sums) >= sum(differences) - 1e-9).mean()
    zeros = [0.0] * len(differences)
    result = significance.sign_flip(differences, zeros)
    assert result.p_value == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 9999))
    assert result.note == "9,999 random flips, seed 0"
    assert significance.sign_flip(differences, zeros) == result
    assert significance.sign_flip(differences, zeros, seed=1).p_value != result.p_value
    assert significance.sign_flip([1.0] * 40, [0.0] * 40).p_value == 1 / 10_000


def test_welch_equals_its_formula_and_scipy() -> None:
    a, b = [0.61, 0.64, 0.65, 0.70], [0.52, 0.55, 0.51, 0.60, 0.58, 0.40]
    result = significance.welch([*a, None], b)
    left, right = pandas.Series(a), pandas.Series(b)
    x, y = left.var() / 4, right.var() / 6
    t = (left.mean() - right.mean()) / math.sqrt(x + y)
    freedom = (x + y) ** 2 / (x**2 / 3 + y**2 / 5)
    assert result.statistic == pytest.approx(t, rel=1e-12)
    assert result.p_value == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-12)
    assert result.p_value == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-12)
    assert result.n == 10
    assert result.note == "n = 4 and 6: few values, so it rests on their being normally distributed"


def test_welch_from_summary_equals_the_one_from_values_whatever_the_ddof() -> None:
    a, b = pandas.Series([58.1, 60.2, 57.7, 59.0]), pandas.Series([55.0, 57.1, 56.6])
    expected = significance.welch(list(a), list(b))
    result = significance.welch_from_summary(a.mean(), a.std(ddof=0), 4, b.mean(), b.std(), 3, ddof=0)
    assert result.p_value == pytest.approx(expected.p_value, rel=1e-12)
    result = significance.welch_from_summary(a.mean(), a.std(), 4, b.mean(), b.std(ddof=0), 3, other_ddof=0)
    assert result.p_value == pytest.approx(expected.p_value, rel=1e-12)


def test_welch_on_published_cells() -> None:
    # Freezing, Table I, QNLI: full 89.0 +- 0.5, layernorm 88.0 +- 0.3, five seeds each.
    result = significance.welch_from_summary(89.0, 0.5, 5, 88.0, 0.3, 5)
    assert result.p_value == pytest.approx(0.00728, abs=5e-6)
    # t = 1 / sqrt((0.25 + 0.09) / 5)
    assert result.statistic == pytest.approx(1 / math.sqrt(0.068), rel=1e-9)


@pytest.mark.parametrize("cell", [(50.0, 1.0, 1), (50.0, None, 3), (None, 1.0, 3), (float("nan"), 1.0, 3)])
def test_welch_without_enough_numbers_has_no_p_value(cell: tuple) -> None:
    for result in (
        significance.welch_from_summary(*cell, 60.0, 1.0, 3),
        significance.welch_from_summary(60.0, 1.0, 3, *cell),
    ):
        assert (result.p_value, result.statistic) == (None, None)
        assert "not enough values" in result.note


def test_welch_without_spread_has_no_p_value() -> None:
    result = significance.welch([0.1, 0.1, 0.1], [0.2, 0.2, 0.2])
    assert (result.p_value, result.note) == (None, "n = 3 and 3: neither side varies, so there is no test")
    assert significance.welch([0.1, 0.1, 0.1], [0.2, 0.2, 0.3]).p_value is not None


def test_compare_pairs_by_seed_where_the_seeds_match() -> None:
    a, b = {0: 0.6, 1: 0.7, 2: 0.9, 3: None}, {3: 0.4, 2: 0.5, 1: 0.8, 0: 0.3}
    assert significance.compare(a, b) == significance.wilcoxon([0.6, 0.7, 0.9, None], [0.3, 0.8, 0.5, 0.4])
    assert significance.compare(a, b).p_value == 0.5
    other = {4: 0.3, 5: 0.8, 6: 0.5}
    assert significance.compare(a, other) == significance.welch([0.6, 0.7, 0.9], [0.3, 0.8, 0.5])


def test_spearman_over_the_methods_ranks_of_a_published_table() -> None:
    performance = [place for column in MEANS for place in pandas.Series(column).rank(ascending=False)]
    stability = [place for column in DEVIATIONS for place in pandas.Series(column).rank()]
    result = significance.spearman(performance, stability)
    rho = pandas.Series(performance).corr(pandas.Series(stability), method="spearman")
    assert (result.n, result.note) == (70, "")
    assert result.statistic == pytest.approx(rho, abs=1e-12)
    assert result.statistic == pytest.approx(0.485, abs=5e-4)
    t = result.statistic * math.sqrt(68 / (1 - result.statistic**2))
    assert result.p_value == pytest.approx(2 * stats.t.sf(t, 68), rel=1e-9)


def _orders_as_extreme(x: list[float], y: list[float]) -> float:
    """The share of the orders of y whose rank covariance with x is at least as far from 0, in whole numbers."""
    left, right = ([round(2 * place) - len(x) - 1 for place in stats.rankdata(side)] for side in (x, y))
    observed = abs(sum(map(int.__mul__, left, right)))
    orders = itertools.permutations(right)
    return sum(abs(sum(map(int.__mul__, left, order))) >= observed for order in orders) / math.factorial(len(x))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=7))
def test_spearman_of_few_pairs_is_exact(pairs: list[tuple[int, int]]) -> None:
    x, y = [pair[0] / 7 for pair in pairs], [pair[1] / 7 for pair in pairs]
    result = significance.spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert (result.statistic, result.p_value) == (None, None)
        assert result.note == "one side does not vary, so there is no rank correlation"
        return
    assert result.statistic == pytest.approx(pandas.Series(x).corr(pandas.Series(y), method="spearman"), abs=1e-12)
    assert result.p_value == _orders_as_extreme(x, y), "every order counts once, so the fractions are the same bits"
    assert result.note == f"n = {len(pairs)}: few pairs, exact p"


def test_spearman_never_claims_more_than_the_orders_allow() -> None:
    assert significance.spearman([1, 2, 3], [4, 5, 6]).p_value == pytest.approx(2 / 6)
    nine = significance.spearman(range(9), [value**3 for value in range(9)])
    assert (nine.statistic, nine.p_value) == (pytest.approx(1.0), pytest.approx(2 / math.factorial(9)))
    assert nine.note == "n = 9: few pairs, p from an approximation"


def test_spearman_leaves_out_incomplete_pairs_and_needs_three() -> None:
    result = significance.spearman([1, 2, None, 3], [1, 2, 5, None])
    assert (result.statistic, result.p_value, result.n) == (None, None, 2)
    assert result.note == "2 of 4 pairs lack a value; n = 2: fewer than three pairs, so there is no rank correlation"


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 0), (3, 1), (2, 2), (0, 6), (25, 10), (40, 61)])
def test_mcnemar_is_the_binomial_on_discordant_examples(only_a: int, only_b: int) -> None:
    a = [True] * only_a + [False] * only_b + [True] * 30 + [False] * 7
    b = [False] * only_a + [True] * only_b + [True] * 30 + [False] * 7
    result = significance.mcnemar(a, b)
    total = only_a + only_b
    tail = sum(math.comb(total, k) for k in range(min(only_a, only_b) + 1))
    assert result.p_value == pytest.approx(float(min(Fraction(1), Fraction(2 * tail, 2**total))), rel=1e-9)
    assert (result.statistic, result.n) == (only_a - only_b, total + 37)
    assert result.note.startswith(f"only a right on {only_a}, only b right on {only_b}")
    assert ("the smallest p" in result.note) == (total < 10)


def test_mcnemar_takes_arrays_and_refuses_unequal_lengths() -> None:
    result = significance.mcnemar(numpy.array([1, 0, 1]) == 1, numpy.array([1, 0, 1]) == 1)
    assert (result.p_value, result.statistic, result.n) == (1.0, 0.0, 3)
    assert result.note.endswith("right on the same examples, p = 1")
    with pytest.raises(ValueError, match="zip"):
        significance.mcnemar([True], [True, False])
