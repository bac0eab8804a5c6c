"""Steps of a check: one that fails decides, and open ones decide only where they could tip a count."""

from pathlib import Path

from peftcli.report.claims import steps
from peftcli.report.claims.verdicts import Step
from tests.report.claims.cases import BETTER, judge
from tests.written_records import fill, runs, small


def test_one_column_against_it_decides_though_others_are_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    run = runs(made, task="cola", strategy="full")[0]
    next(tmp_path.glob(f"cola/full-{run.id}.json")).unlink()
    assert judge(tmp_path, made, BETTER).verdict == "does not hold", "equal on rte"
    assert judge(tmp_path, made, BETTER | {"or_equal": True}).verdict == "not enough runs"
    assert judge(tmp_path, made, BETTER | {"or_equal": True, "on": "rte"}).verdict == "holds"


def test_open_columns_decide_a_count_only_when_they_can(tmp_path: Path) -> None:
    made = small(tasks=["rte", "cola", "wnli"], learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    for file in tmp_path.glob("wnli/full-*.json"):
        file.unlink()
    top = {"kind": "top", "strategy": "layernorm", "places": 1}
    assert judge(tmp_path, made, top | {"at_least": 2}).verdict == "holds"
    assert judge(tmp_path, made, top | {"at_least": 3}).verdict == "not enough runs"
    assert judge(tmp_path, made, top | {"strategy": "full", "at_least": 2}).verdict == "does not hold"


def test_a_count_is_open_only_while_open_steps_could_tip_it() -> None:
    won, lost, waiting = Step("won", True), Step("lost", False), Step("open", None, "not enough runs")
    for outcome, needed, verdict in (
        ((won, won, waiting), 2, "holds"),
        ((won, lost, waiting), 2, "not enough runs"),
        ((won, lost, lost), 2, "does not hold"),
        ((won, lost, waiting), 3, "does not hold"),
    ):
        assert steps.count(outcome, needed, "rule", "test").verdict == verdict
    assert steps.conclude([won, waiting], "rule", "test").verdict == "not enough runs"
    assert steps.conclude([waiting, lost], "rule", "test").verdict == "does not hold"
    assert steps.conclude([], "rule", "test").verdict == "cannot be judged"
