"""A tested check lists its comparisons part by part, and a report's JSON has them all."""

import json
from pathlib import Path

from peftcli.report import report
from tests.report.claims.cases import BETTER
from tests.report.claims.samples import A, B, C, answered, of
from tests.written_records import fill, small


def test_comparisons_are_listed_part_by_part() -> None:
    numbers = [of("a", A), of("b", B), of("a", C, column="cola"), of("b", B, column="cola")]
    check = answered({"kind": "how many", "than": "b", "at_least": 1}, *numbers)
    assert [part.needed for part in check.parts] == [1, 1]
    assert [each.column for each in check.comparisons] == ["RTE", "COLA"]


def test_the_json_has_estimate_interval_test_n_and_seeds(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3], seeds=5, tasks=["rte"], claims=[{"claim": "-", "checks": [BETTER | {"by": 3}]}])
    values = {"full": (0.5, 0.51, 0.49, 0.5, 0.52), "layernorm": (0.53, 0.54, 0.55, 0.52, 0.54)}
    fill(made, tmp_path, lambda run: values[run.strategy][run.seed])
    (claim,) = json.loads(report.report(made, tmp_path, "json"))["claims"]
    (comparison,) = claim["tested"]["checks"][0]["parts"][0]["comparisons"]
    assert (comparison["test"], comparison["n"], comparison["boundary"]) == ("paired t", "5 pairs", 3.0)
    assert abs(comparison["estimate"] - 3.2) < 1e-9
    low, high = comparison["interval"]
    assert low < 3 < high
    assert claim["tested"]["answer"] == comparison["answer"] == "leans for"
    assert claim["tested"]["seeds"]["difference"] == 3.0
    assert claim["tested"]["holm"] == claim["tested"]["p_value"]
