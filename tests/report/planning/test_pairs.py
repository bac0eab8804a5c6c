"""The two numbers that stand for each comparison of a check, on the papers' tables, looked up by hand."""

from dataclasses import replace
from typing import Any

import pytest

from peftcli.report.claims.tested import registry
from peftcli.report.claims.tested.listing import Ranked
from peftcli.report.planning import pairs
from tests.report.claims.cases import claim_of
from tests.report.planning.studies import basis_of
from tests.written_records import load

ON = {"on": "cola"}
CHECKS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"kind": "better", "strategies": ["layernorm", "bitfit"], "than": "full", "by": 2.0, **ON},
        ["LayerNorms>Full-FT", "BitFit>Full-FT"],
    ),
    (
        {"kind": "better", "strategies": ["layernorm", "bitfit"], "than": "full", "take": "any", **ON},
        ["BitFit>Full-FT"],
    ),
    ({"kind": "within", "strategies": "layernorm", "than": "full", "points": 3.0, **ON}, ["LayerNorms>Full-FT"]),
    (
        {"kind": "order", "strategies": ["full", "layernorm", "frozen"], **ON},
        ["Full-FT>LayerNorms", "LayerNorms>Frozen"],
    ),
    ({"kind": "welch", "strategies": "layernorm", "than": "full", "is": "lower", **ON}, ["LayerNorms>Full-FT"]),
    (
        {"kind": "welch", "strategies": "layernorm", "than": "full", "is": "not different", "margin": 2.0, **ON},
        ["LayerNorms>Full-FT"],
    ),
    (
        {"kind": "best", "among": ["full", "multihead"], "of": ["full", "bitfit", "random"], **ON},
        ["Multi-Head>BitFit"],  # of 55.8 and 54.7, and of 53.9 and 50.1
    ),
    (
        {"kind": "worst", "among": "frozen", "of": ["frozen", "bitfit", "random"], **ON},
        ["Frozen>Random"],
    ),
    (
        {"kind": "how many", "than": "full", "at_least": 1, "strategies": ["random", "bitfit"], **ON},
        ["Random>Full-FT", "BitFit>Full-FT"],
    ),
    (
        {"kind": "times best", "of": ["full", "bitfit"], "times": {"full": 1, "bitfit": 0}, **ON},
        ["Full-FT>BitFit", "BitFit>Full-FT"],
    ),
    ({"kind": "mostly", "strategy": "layernorm", "than": "random", **ON}, ["LayerNorms>Random"]),
    ({"kind": "near majority", "strategies": "layernorm", "deviations": 1.0, **ON}, []),
    ({"kind": "rank correlation"}, []),
    ({"kind": "better", "strategies": "layernorm", "than": "full", "measure": "std", **ON}, []),
]


@pytest.fixture(scope="module")
def table1() -> Any:
    return basis_of(load("transferability/table1")).evidence


def compared(check: dict[str, Any], evidence: Any) -> list[Any]:
    families = registry.listing(claim_of(check).checks[0], evidence).families
    return [pairs.in_lead(each) for family in families for each in family.compared]


@pytest.mark.parametrize(
    ("check", "expected"), CHECKS, ids=lambda value: value["kind"] if isinstance(value, dict) else ""
)
def test_what_a_check_compares(check: dict[str, Any], expected: list[str], table1: Any) -> None:
    both = [f"{one.label}>{other.label}" for one, other in compared(check, table1) if one and other]
    assert both == expected


@pytest.mark.parametrize(("places", "rival"), [(1, "Multi-Head"), (3, "Full-FT"), (8, "Frozen"), (9, None)])
def test_among_the_best_few_is_beside_the_row_that_could_take_the_last_of_their_places(
    places: int, rival: str | None, table1: Any
) -> None:
    # Multi-Head, Feed-Forward, Full-FT: 55.8, 55.6 and 54.7 of nine on CoLA.
    ((one, other),) = compared({"kind": "top", "strategy": "layernorm", "places": places, "at_least": 1, **ON}, table1)
    assert (one.label, other and other.label) == ("LayerNorms", rival)


def test_a_count_is_of_all_others_in_each_column(table1: Any) -> None:
    many = claim_of({"kind": "how many", "than": "full", "at_least": 5, "on": ["cola", "average"]}).checks[0]
    # Enough in each column; BitFit's average holds copied cells.
    families = registry.listing(many, table1).families
    assert [(family.needed, len(family.compared)) for family in families] == [(5, 8), (5, 7)]


def test_a_row_without_a_number_could_turn_out_anywhere(table1: Any) -> None:
    check = claim_of({"kind": "best", "among": "layernorm", **ON}).checks[0]
    ((ranked,),) = (family.compared for family in registry.listing(check, table1).families)
    assert isinstance(ranked, Ranked)
    rows = [tuple(replace(n, mean=None) if n.label == "Random" else n for n in row) for row in ranked.rows]
    _, other = pairs.in_lead(replace(ranked, rows=tuple(rows)))
    assert other is not None
    assert other.label == "Random"


def test_a_name_whose_cell_is_copied_has_no_number(table1: Any) -> None:
    check = {"kind": "better", "strategies": "bitfit", "than": "full", "on": ["cola", "qnli"]}
    ones = [one and one.column for one, _ in compared(check, table1)]
    assert ones == ["cola", None]


def test_every_row_of_a_name_and_the_counterpart_of_each() -> None:
    evidence = basis_of(load("transferability/table4")).evidence
    check = {"kind": "mostly", "strategy": "layernorm_outlier", "than": "layernorm_random", "match": ["n"], **ON}
    both = [(one.options["n"], other.options["n"]) for one, other in compared(check, evidence)]
    assert both == [(n, n) for n in (256, 64, 16, 4)]


def test_the_reference_is_beside_every_other_row_its_best_where_it_has_several() -> None:
    basis = basis_of(load("freezing/table1"))
    view, evidence = basis.tables[0].view, basis.evidence
    beside = [pairs.in_lead(each) for each in pairs.with_reference(view, evidence)]
    # Of 17 rows one is the reference; Random and InitBias+BitFit have no QNLI: 3 + 3 rows on 4 tasks, 3 + 4 on 3.
    assert len(beside) == 6 * 4 + 7 * 3
    assert {other.label for _, other in beside if other} == {"Full 3e-5"}
    view = view.model_copy(update={"reference": "bitfit"})
    beside = [pairs.in_lead(each) for each in pairs.with_reference(view, evidence)]
    best = {other.column: other.label for _, other in beside if other}
    assert (best["cola"], best["sst2"]) == ("BitFit 5e-4", "BitFit 1e-4")  # 53.9 and 89.8
    assert pairs.with_reference(view.model_copy(update={"reference": None}), evidence) == []
