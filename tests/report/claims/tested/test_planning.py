"""Seeds that would decide a claim: planned for the check's margin or a point, all comparisons at once, as statsmodels says."""

import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from peftcli.report.claims.answers import Seeds
from peftcli.report.claims.tested import planning
from tests.report.claims.samples import A, B, answered, of, printed

CLOSE = tuple(value + 0.1 for value in A[::-1])


def independent(difference: float, deviations: tuple[float, float], power: float, alpha: float = 0.05) -> int:
    spread = ((deviations[0] ** 2 + deviations[1] ** 2) / 2) ** 0.5
    solve = TTestIndPower().power
    return next(n for n in range(3, 1001) if solve(difference / spread, n, alpha) >= power)


def test_one_comparison_is_planned_for_a_point_and_never_for_the_observed_difference() -> None:
    check = answered(
        {"kind": "better", "strategies": "a", "than": "b"}, printed("a", 62.3, 1.2, 5), printed("b", 62.0, 0.8, 5)
    )
    assert planning.seeds([check]) == Seeds(independent(1.0, (1.2, 0.8), 0.8), 1.0, 1, "RTE: a, b")
    margin = {"kind": "within", "strategies": "a", "than": "b", "points": 0.5}
    tight = answered(margin, printed("a", 62.3, 1.2, 5), printed("b", 62.0, 0.8, 5))
    assert planning.seeds([tight]) == Seeds(independent(0.5, (1.2, 0.8), 0.8), 0.5, 1, "RTE: a, b")
    fractions = answered({"kind": "better", "strategies": "a", "than": "b"}, of("a", A), of("b", CLOSE), unit=0.01)
    assert planning.seeds([fractions]) == Seeds(None, 0.01, 1, "RTE: a, b")


def test_pairs_are_planned_with_the_deviation_of_their_differences() -> None:
    check = answered(
        {"kind": "better", "strategies": "a", "than": "b"}, of("a", A, paired=True), of("b", CLOSE, paired=True)
    )
    differences = [a - b for a, b in zip(A, CLOSE, strict=True)]
    mean = sum(differences) / 5
    deviation = (sum((each - mean) ** 2 for each in differences) / 4) ** 0.5
    wanted = next(n for n in range(3, 1001) if TTestPower().power(1 / deviation, n, 0.05) >= 0.8)
    assert planning.seeds([check]) == Seeds(wanted, 1.0, 1, "RTE: a, b")


def test_several_comparisons_together_have_the_power_and_the_hardest_is_named() -> None:
    numbers = [printed("a", 62.1, 1.0, 5), printed("b", 62.0, 0.5, 5), printed("c", 62.0, 2.0, 5)]
    check = answered({"kind": "better", "strategies": ["b", "c"], "than": "a"}, *numbers)
    assert planning.seeds([check]) == Seeds(independent(1.0, (2.0, 1.0), 0.9), 1.0, 2, "RTE: c, a")
    one = answered({"kind": "how many", "than": "a", "at_least": 1}, *numbers)
    # One of two is enough: the easier one, at its part of alpha.
    assert planning.seeds([one]) == Seeds(independent(1.0, (0.5, 1.0), 0.8, alpha=0.025), 1.0, 1, "RTE: b, a")
    assert planning.seeds([check, check]) == Seeds(independent(1.0, (2.0, 1.0), 0.95), 1.0, 4, "RTE: c, a")


def test_what_no_number_of_seeds_decides_has_none() -> None:
    decided = answered({"kind": "better", "strategies": "a", "than": "b"}, of("a", A), of("b", B))
    assert (decided.answer, planning.seeds([decided])) == ("supported", None)
    flattered = printed("a", 62.1, 1.0, 5, choices=7), printed("b", 62.0, 0.5, 5)
    assert planning.seeds([answered({"kind": "better", "strategies": "a", "than": "b"}, *flattered)]) is None
    assert (
        planning.seeds([answered({"kind": "overlap", "strategies": "a", "than": "b"}, of("a", A), of("b", B))]) is None
    )


@pytest.mark.parametrize(("collapsed", "least"), [(0, 3), (1, 10)])
def test_a_collapsed_run_asks_for_ten_seeds(collapsed: int, least: int) -> None:
    check = answered(
        {"kind": "within", "strategies": "a", "than": "b", "points": 40},
        printed("a", 22.0, 1.0, 5, collapsed=collapsed),
        printed("b", 62.0, 1.0, 5),
    )
    found = planning.seeds([check])
    assert found is not None
    assert found.number == least
