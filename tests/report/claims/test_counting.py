"""Checks that count, and what open columns can still decide."""

from pathlib import Path
from typing import Any

from peftcli.experiment.recipe import Recipe
from peftcli.report import summary
from peftcli.report.claims.verdicts import Judged
from tests.written_records import fill, small

CLAIM = {"claim": "-", "where": "-"}


def judge(tmp_path: Path, made: Recipe, *checks: dict[str, Any]) -> Judged:
    claims = [{**CLAIM, "checks": list(checks)}]
    return summary.summarise(made.model_copy(update={"claims": claims}), tmp_path, False).claims[0]


def test_open_columns_decide_a_count_only_when_they_can(tmp_path: Path) -> None:
    made = small(tasks=["rte", "cola", "wnli"], learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    for file in tmp_path.glob("wnli/full-*.json"):
        file.unlink()
    top = {"kind": "top", "strategy": "layernorm", "places": 1}
    assert judge(tmp_path, made, top | {"at_least": 2}).verdict == "holds"
    assert judge(tmp_path, made, top | {"at_least": 3}).verdict == "not enough runs"
    assert judge(tmp_path, made, top | {"strategy": "full", "at_least": 2}).verdict == "does not hold"
