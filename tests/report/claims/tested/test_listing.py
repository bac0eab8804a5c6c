"""Comparisons before they are tested: their sides, their margins, and the level that their correction leaves each."""

from typing import Any

import pytest

from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.tested import registry
from peftcli.report.claims.tested.listing import Compared, Listing, Ranked, all_of, candidates
from tests.report.claims.cases import claim_of
from tests.report.claims.samples import A, B, C, of

NUMBERS = (of("a", A, B, row=0), of("b", B, row=1), of("c", A, B, C, row=2))
ONE, OTHER, LAST = ((number,) for number in NUMBERS)


def listed(check: dict[str, Any]) -> list[Compared | Ranked]:
    """All comparisons of a check."""
    families = registry.listing(claim_of(check).checks[0], Evidence(NUMBERS)).families
    return [each for family in families for each in family.compared]


@pytest.mark.parametrize(
    ("check", "relation", "boundary", "margin"),
    [
        ({"kind": "better", "by": 2.0}, "above", 2.0, 2.0),
        ({"kind": "better"}, "above", 0.0, 0.0),
        ({"kind": "within", "points": 3.0}, "above", -3.0, 3.0),
        ({"kind": "welch", "is": "lower", "margin": 1.0}, "below", 0.0, 0.0),
        ({"kind": "welch", "is": "higher"}, "above", 0.0, 0.0),
        ({"kind": "welch", "is": "different"}, "different", 0.0, 0.0),
        ({"kind": "welch", "is": "different", "margin": 1.5}, "not near", 1.5, 1.5),
        ({"kind": "welch", "is": "not different", "margin": 1.5}, "near", 1.5, 1.5),
    ],
)
def test_the_boundary_and_the_margin_that_a_check_names(
    check: dict[str, Any], relation: str, boundary: float, margin: float
) -> None:
    (only,) = listed({"strategies": "a", "than": "c", **check})
    assert isinstance(only, Compared)
    assert (only.ones, only.others) == (ONE, LAST)
    assert (only.relation, only.boundary, only.margin) == (relation, boundary, margin)


@pytest.mark.parametrize(
    ("relation", "parts"), [("above", 2), ("below", 3), ("near", 3 / 2), ("not near", 3 / 2), ("different", 3)]
)
def test_the_side_that_is_said_to_be_above_pays_for_its_rates(relation: Any, parts: float) -> None:
    compared = Compared("RTE", ONE, LAST, relation)  # two rates beside three
    assert compared.alpha == pytest.approx(0.05 / parts)


def test_rows_of_a_column_pay_for_all_pairs_of_rates() -> None:
    (ranked,) = listed({"kind": "best", "among": "a"})
    assert isinstance(ranked, Ranked)
    assert (ranked.inside, ranked.outside) == ((0,), (1, 2))
    assert (ranked.ones, ranked.others) == (ONE, OTHER + LAST)
    assert ranked.alpha == pytest.approx(0.05 / 15)  # 2 + 1 + 3 samples
    (top,) = listed({"kind": "top", "strategy": "a", "places": 2, "at_least": 1})
    assert isinstance(top, Ranked)
    assert (top.rows, top.inside, top.places) == ((ONE, OTHER, LAST), (0,), 2)


def test_a_row_that_is_still_to_be_trained_counts_once() -> None:
    assert [candidates(rows) for rows in ((), (of("d"),), ONE + OTHER + LAST + (of("d"),))] == [1, 1, 7]


def test_all_of_none_is_no_family() -> None:
    assert all_of([], "words") == Listing((), "words")
    (family,) = all_of((Compared("RTE", ONE, other) for other in (OTHER, LAST)), "words").families
    assert (family.needed, len(family.compared), family.exactly) == (2, 2, None)


def test_each_name_is_best_so_often_and_no_more() -> None:
    check = claim_of({"kind": "times best", "times": {"a": 1, "b": 0}}).checks[0]
    families = registry.listing(check, Evidence(NUMBERS)).families
    assert [(family.needed, family.exactly) for family in families] == [(1, 1), (1, 0)]
