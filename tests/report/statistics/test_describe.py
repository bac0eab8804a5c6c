"""Means, spreads, ranks, intervals and baselines, against exact fractions, pandas, scikit-learn and full loops."""

import itertools
import math
import subprocess
import sys
from fractions import Fraction
from statistics import NormalDist

import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from peftcli.report.statistics import describe

SCORES = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=12)
COARSE = st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.3, 0.4])), min_size=1, max_size=12)
NAN, INFINITY = float("nan"), float("inf")


def test_importing_the_report_side_needs_no_numerical_library() -> None:
    heavy = "{'numpy', 'scipy', 'pandas', 'torch'}"
    modules = "peftcli.report.statistics.describe, peftcli.report.statistics.significance"
    code = f"import sys, {modules}; print({heavy} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@given(SCORES)
def test_mean_and_std_equal_exact_arithmetic(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    centre = sum(exact) / len(exact)
    squares = sum((value - centre) ** 2 for value in exact)
    assert describe.mean(values) == pytest.approx(float(centre), rel=1e-15, abs=1e-17)
    for ddof in (0, 1):
        result = describe.std(values, ddof)
        if len(values) <= ddof:
            assert result is None
        else:
            assert result == pytest.approx(math.sqrt(squares / (len(exact) - ddof)), rel=1e-9, abs=1e-16)


def test_std_survives_a_large_offset() -> None:
    values = [1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3]
    assert describe.std(values, 1) == pytest.approx(0.1, rel=1e-6)
    assert describe.mean([1e16, 1.0, -1e16]) == 1 / 3


@given(st.floats(-100, 100), st.integers(2, 60))
def test_equal_values_average_to_themselves_without_spread(value: float, n: int) -> None:
    assert describe.mean([value] * n) == value
    assert describe.std([value] * n, 1) == 0.0


@given(SCORES)
def test_mean_and_std_do_not_depend_on_the_order(values: list[float]) -> None:
    assert describe.mean(values) == describe.mean(values[::-1])
    assert describe.std(values, 0) == describe.std(values[::-1], 0)


def test_missing_values_are_left_out_and_too_few_give_none() -> None:
    values = [0.5, None, NAN, 0.7, INFINITY]
    assert describe.finite(values) == [0.5, 0.7]
    assert describe.mean(values) == pytest.approx(0.6)
    assert describe.std(values, 1) == pytest.approx(0.1 * math.sqrt(2))
    assert describe.std(values, 2) is None
    assert (describe.mean([None, NAN]), describe.std([], 0)) == (None, None)
    assert (describe.std([0.5], 1), describe.std([0.5], 0)) == (None, 0.0)


@given(COARSE, st.booleans())
def test_ranks_equal_those_of_pandas(values: list[float | None], higher: bool) -> None:
    column = pandas.Series(values, dtype=float)
    for ties, method in (("competition", "min"), ("average", "average")):
        expected = [None if math.isnan(r) else r for r in column.rank(method=method, ascending=not higher)]
        assert describe.rank(values, higher, ties) == expected


def test_ranks_match_the_brackets_of_the_effectiveness_table() -> None:
    # CB in Table 1: two methods print 88.93 and both carry [2], nothing carries [3].
    means = [88.93, 90.54, 86.51, 86.96, 81.25, 87.32, 84.64, 86.25, 86.61, 88.93]
    assert describe.rank(means) == [2, 1, 7, 5, 10, 4, 9, 8, 6, 2]
    # STS-B: three methods print a deviation of 0.14 and carry [3]; lower is better.
    deviations = [0.52, 0.11, 0.17, 0.14, 0.14, 0.13, 0.51, 0.34, 1.51, 0.14]
    assert describe.rank(deviations, higher_is_better=False) == [9, 1, 6, 3, 3, 2, 8, 7, 10, 3]


def test_values_that_print_alike_are_tied() -> None:
    values = [88.934, 88.926, 88.9, NAN]
    assert describe.rank(values) == [1, 2, 3, None]
    assert describe.rank(values, decimals=2) == [1, 1, 3, None]
    assert describe.rank(values, decimals=1, ties="average") == [2, 2, 2, None]


def _exhaustive_bca(values: list[float], level: float) -> tuple[float, float]:
    """Efron's interval from all n^n resamples instead of random ones."""
    normal, n, centre = NormalDist(), len(values), sum(values) / len(values)
    means = numpy.array([sum(resample) / n for resample in itertools.product(values, repeat=n)])
    below = ((means < centre - 1e-9).mean() + (means < centre + 1e-9).mean()) / 2
    left_out = [(sum(values) - value) / (n - 1) for value in values]
    leverage = [sum(left_out) / n - value for value in left_out]
    skew = sum(x**3 for x in leverage) / (6 * sum(x**2 for x in leverage) ** 1.5)
    bias = normal.inv_cdf(float(below))
    shifted = [bias + normal.inv_cdf(share) for share in ((1 - level) / 2, (1 + level) / 2)]
    low, high = (normal.cdf(bias + z / (1 - skew * z)) for z in shifted)
    return float(numpy.quantile(means, low)), float(numpy.quantile(means, high))


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("values", [[0.61, 0.64, 0.65, 0.70, 0.52], [0.1, 0.25, 0.31, 0.7, 0.9, 0.13]])
def test_bootstrap_interval_nears_the_one_over_all_resamples(
    values: list[float], level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With 9,999 resamples an end of the wider interval still scatters by 0.01.
    monkeypatch.setattr(describe, "RESAMPLES", 200_000)
    result = describe.bootstrap_interval([*values, None], level)
    assert (result.low, result.high) == pytest.approx(_exhaustive_bca(values, level), abs=0.005)
    assert (result.n, result.level) == (len(values), level)
    assert result.note == f"n = {len(values)}: so few values make a bootstrap interval too narrow"


def test_bootstrap_interval_depends_on_its_seed_alone() -> None:
    values = [math.sin(i) for i in range(20)]
    first = describe.bootstrap_interval(values, seed=3)
    numpy.random.seed(0)
    assert describe.bootstrap_interval(values, seed=3) == first
    assert describe.bootstrap_interval(values, seed=4) != first
    assert first.note == ""


def test_bootstrap_interval_of_one_value_or_equal_values() -> None:
    one = describe.bootstrap_interval([0.5, None])
    assert (one.low, one.high, one.n, one.note) == (None, None, 1, "n = 1: no interval")
    equal = describe.bootstrap_interval([0.1 + 0.2, 0.3, 0.3])
    assert (equal.low, equal.high) == (0.1 + 0.2, 0.1 + 0.2)
    assert equal.note == "all 3 values are equal to nine decimals"


def test_named_generators_differ_by_name_and_seed() -> None:
    first = describe.generator(0, "a").integers(0, 2**60)
    assert first == describe.generator(0, "a").integers(0, 2**60)
    assert first != describe.generator(0, "b").integers(0, 2**60)
    assert first != describe.generator(1, "a").integers(0, 2**60)


def test_flattery_is_the_best_choice_minus_the_mean_of_the_others() -> None:
    assert describe.best_of_k_flattery({1e-4: 52.0, 5e-4: 55.0, 1e-3: 50.0}) == pytest.approx(4.0)
    assert describe.best_of_k_flattery({1e-4: 52.0, 5e-4: None, 1e-3: 50.0}) == pytest.approx(2.0)
    assert describe.best_of_k_flattery({1e-4: 52.0, 5e-4: 52.0}) == 0.0
    assert describe.best_of_k_flattery({1e-4: 52.0, 5e-4: NAN}) is None


def _best_constant(counts: list[int], score) -> float:
    """The best score over predictions of one class for every example."""
    truth = [label for label, count in enumerate(counts) for _ in range(count)]
    return max(score(truth, [label] * len(truth)) for label in range(len(counts)))


def _f1(truth: list[int], predicted: list[int]) -> float:
    return metrics.f1_score(truth, predicted, zero_division=0)


@pytest.mark.parametrize("counts", [[129, 279], [63, 37], [500, 10], [50, 50]])
@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("accuracy", metrics.accuracy_score),
        ("matthews", metrics.matthews_corrcoef),
        ("f1", _f1),
        ("mean_accuracy_f1", lambda t, p: (metrics.accuracy_score(t, p) + _f1(t, p)) / 2),
    ],
)
def test_majority_baseline_is_the_best_constant_prediction(counts: list[int], metric: str, score) -> None:
    labels = {"no": counts[0], "yes": counts[1]}
    assert describe.majority_baseline(labels, metric) == pytest.approx(_best_constant(counts, score), abs=1e-12)


@pytest.mark.parametrize("counts", [[115, 28, 113], [30, 10, 5, 0, 7]])
def test_majority_baseline_of_several_labels(counts: list[int]) -> None:
    labels = {str(index): count for index, count in enumerate(counts)}
    for metric, score in [
        ("accuracy", metrics.accuracy_score),
        ("f1_macro", lambda t, p: metrics.f1_score(t, p, average="macro", labels=sorted(set(t)), zero_division=0)),
        ("f1_micro", lambda t, p: metrics.f1_score(t, p, average="micro", zero_division=0)),
        ("matthews", metrics.matthews_corrcoef),
    ]:
        assert describe.majority_baseline(labels, metric) == pytest.approx(_best_constant(counts, score), abs=1e-12)
    assert describe.majority_baseline(labels, "f1") is None


def test_majority_baseline_known_values_and_undefined_ones() -> None:
    rte = {"entailment": 146, "not_entailment": 131}
    assert describe.majority_baseline(rte, "accuracy") == pytest.approx(0.527, abs=5e-4)
    for metric in ("pearson", "spearman", "mean_pearson_spearman"):
        assert describe.majority_baseline({}, metric) == 0.0
    assert describe.majority_baseline({}, "accuracy") is None
    assert describe.majority_baseline({"a": 0, "b": 0}, "f1") is None
    assert describe.majority_baseline(rte, "loss") is None
