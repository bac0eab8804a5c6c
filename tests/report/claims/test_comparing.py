"""Verdicts on our own runs: holds, does not hold, not enough runs, cannot be judged."""

from pathlib import Path
from typing import Any

from scipy import stats

from peftcli.experiment.recipe import Recipe
from peftcli.report import summary
from peftcli.report.claims.verdicts import Judged
from tests.written_records import fill, runs, small, write

CLAIM = {"claim": "-", "where": "-"}


def judge(tmp_path: Path, made: Recipe, *checks: dict[str, Any]) -> Judged:
    claims = [{**CLAIM, "checks": list(checks)}]
    return summary.summarise(made.model_copy(update={"claims": claims}), tmp_path, False).claims[0]


BETTER = {"kind": "better", "strategies": "layernorm", "than": "full"}


def test_verdicts_on_our_runs(tmp_path: Path) -> None:
    made = small(seeds=6, learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10 + run.seed / 1000)
    found = judge(tmp_path, made, BETTER)
    assert (found.verdict, found.printed, found.printed_findings) == ("holds", "cannot be judged", ())
    p_value = stats.wilcoxon([10.0] * 6, method="exact").pvalue
    assert found.findings[0].steps[0].text == f"rte: layernorm 60.2, full 50.2 (+10.0, p = {p_value:.2g})"
    assert "Wilcoxon" in found.findings[0].test
    assert judge(tmp_path, made, BETTER | {"by": 10.0}).verdict == "holds"
    assert judge(tmp_path, made, BETTER | {"by": 10.1}).verdict == "does not hold"
    assert (
        judge(tmp_path, made, {"kind": "better", "strategies": "full", "than": "layernorm"}).verdict == "does not hold"
    )


def test_one_column_against_it_decides_though_others_are_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    run = runs(made, task="cola", strategy="full")[0]
    next(tmp_path.glob(f"cola/full-{run.id}.json")).unlink()
    assert judge(tmp_path, made, BETTER).verdict == "does not hold", "equal on rte"
    assert judge(tmp_path, made, BETTER | {"or_equal": True}).verdict == "not enough runs"
    assert judge(tmp_path, made, BETTER | {"or_equal": True, "on": "rte"}).verdict == "holds"


def test_one_check_against_it_decides_though_another_is_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for file in tmp_path.glob("cola/full-*.json"):
        file.unlink()
    fails, lacks = BETTER | {"on": "rte"}, BETTER | {"on": "cola"}
    assert judge(tmp_path, made, lacks, fails).verdict == "does not hold"
    assert judge(tmp_path, made, lacks).verdict == "not enough runs"
    assert judge(tmp_path, made, fails | {"or_equal": True}, lacks).verdict == "not enough runs"


def test_another_model_or_protocol_than_the_papers_is_not_judged(tmp_path: Path) -> None:
    table = {"model": "bert-base-uncased"}
    made = small(learning_rates=[1e-3], table=table)
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    found = judge(tmp_path, made, BETTER)
    assert found.verdict == "cannot be judged"
    assert found.note == "the model is minilm, not the paper's bert-base-uncased"
    assert found.findings[0].verdict == "holds", "the numbers are shown all the same"
    papers = made.model_copy(update={"model": "bert-base-uncased", "overrides": {"epochs": 1.0}})
    found = judge(tmp_path, papers, BETTER)
    assert (found.verdict, "epochs=1.0" in found.note) == ("cannot be judged", True)


def test_a_strategy_that_always_diverged_cannot_be_judged(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for run in runs(made, strategy="layernorm"):
        write(tmp_path, run, {}, "diverged")
    assert judge(tmp_path, made, BETTER).verdict == "cannot be judged"
