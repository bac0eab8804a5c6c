"""Welch's test, rank correlation and McNemar's, against enumeration, scipy, pandas and the papers' own cells."""

import itertools
import math
from fractions import Fraction

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from peftcli.report.statistics import describe, significance

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


def _welch(a: list[float], b: list[float]) -> significance.Test:
    left, right = ((describe.mean(values), describe.std(values, 1), len(values)) for values in (a, b))
    return significance.welch_from_summary(*left, *right)


def test_welch_equals_its_formula_and_scipy() -> None:
    a, b = [0.61, 0.64, 0.65, 0.70], [0.52, 0.55, 0.51, 0.60, 0.58, 0.40]
    result = _welch(a, b)
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
    expected = _welch(list(a), list(b))
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
    result = _welch([0.1, 0.1, 0.1], [0.2, 0.2, 0.2])
    assert (result.p_value, result.note) == (None, "n = 3 and 3: neither side varies, so there is no test")
    assert _welch([0.1, 0.1, 0.1], [0.2, 0.2, 0.3]).p_value is not None


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
