"""The pairs that each kind of check compares, on the papers' tables, counted by hand."""

from typing import Any

import pytest

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
    ({"kind": "overlap", "strategies": "layernorm", "than": "full", **ON}, ["LayerNorms>Full-FT"]),
    (
        {"kind": "best", "among": ["full", "multihead"], "of": ["full", "bitfit", "random"], **ON},
        ["Multi-Head>BitFit", "Multi-Head>Random"],
    ),
    (
        {"kind": "worst", "among": "frozen", "of": ["frozen", "bitfit", "random"], **ON},
        ["BitFit>Frozen", "Random>Frozen"],
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
    return [pair for part in pairs.of_check(claim_of(check).checks[0], evidence) for pair in part.pairs]


@pytest.mark.parametrize(
    ("check", "expected"), CHECKS, ids=lambda value: value["kind"] if isinstance(value, dict) else ""
)
def test_what_a_check_compares(check: dict[str, Any], expected: list[str], table1: Any) -> None:
    both = [f"{one.label}>{other.label}" for one, other in compared(check, table1) if one and other]
    assert both == expected


def test_the_best_of_some_is_beside_every_other_and_a_count_is_of_all_others(table1: Any) -> None:
    top = {"kind": "top", "strategy": "layernorm", "places": 3, "at_least": 1, **ON}
    assert [(one.label, other.label) for one, other in compared(top, table1) if one and other] == [
        ("LayerNorms", other)
        for other in (
            "Full-FT",
            "Feed-Forward",
            "Multi-Head",
            "LayerNorms_A",
            "LayerNorms_F",
            "BitFit",
            "Random",
            "Frozen",
        )
    ]
    many = claim_of({"kind": "how many", "than": "full", "at_least": 5, "on": ["cola", "average"]}).checks[0]
    # Enough in each column; BitFit's average holds copied cells.
    assert [(part.needed, len(part.pairs)) for part in pairs.of_check(many, table1)] == [(5, 8), (5, 7)]


def test_a_name_whose_cell_is_copied_has_no_number(table1: Any) -> None:
    check = {"kind": "better", "strategies": "bitfit", "than": "full", "on": ["cola", "qnli"]}
    ones = [one and one.column for one, _ in compared(check, table1)]
    assert ones == ["cola", None]


def test_every_row_of_a_name_and_the_counterpart_of_each() -> None:
    evidence = basis_of(load("transferability/table4")).evidence
    check = {"kind": "mostly", "strategy": "layernorm_outlier", "than": "layernorm_random", "match": ["n"], **ON}
    (part,) = pairs.of_check(claim_of(check).checks[0], evidence)
    both = [(one.options["n"], other.options["n"]) for one, other in part.pairs if one and other]
    assert both == [(n, n) for n in (256, 64, 16, 4)]
    assert part.needed == 3  # more than half of four


def test_the_reference_is_beside_every_other_row_its_best_where_it_has_several() -> None:
    made = basis_of(load("freezing/table1"))
    beside = pairs.of_reference(made.tables[0].view, made.evidence)
    # Of 17 rows one is the reference; Random and InitBias+BitFit have no QNLI: 3 + 3 rows on 4 tasks, 3 + 4 on 3.
    assert len(beside) == 6 * 4 + 7 * 3
    assert {other.label for _, other in beside if other} == {"Full 3e-5"}
    view = made.tables[0].view.model_copy(update={"reference": "bitfit"})
    best = {other.column: other.label for _, other in pairs.of_reference(view, made.evidence) if other}
    assert (best["cola"], best["sst2"]) == ("BitFit 5e-4", "BitFit 1e-4")  # 53.9 and 89.8
    assert pairs.of_reference(view.model_copy(update={"reference": None}), made.evidence) == []


def test_the_margin_that_a_check_names() -> None:
    margins = [pairs.margin(claim_of(check).checks[0]) for check, _ in CHECKS[:4]]
    assert margins == [2.0, 0.0, 3.0, 0.0]
