"""Runs in MLflow's sqlite store, read with its client: the numbers of the records, once, in one run a run."""

import json
from pathlib import Path

import pytest

from peftcli.runner.trackers import process
from tests.runner import tracked

pytest.importorskip("mlflow", reason="needs the extra mlflow")

from mlflow import MlflowClient


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return MlflowClient()


def test_a_run_that_goes_on_is_one_run_with_the_record_s_numbers(lives, client, tmp_path):
    process.follow("mlflow", tmp_path, lives.lines[0])
    (experiment,) = [each for each in client.search_experiments() if each.name == "r"]
    stopped = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in stopped} == {"KILLED"}
    process.follow("mlflow", tmp_path, lives.lines[1])
    assert len(client.search_runs([experiment.experiment_id])) == len(lives.records) == 3
    for record in lives.records:
        (run,) = client.search_runs([experiment.experiment_id], f"tags.`peftcli.record` = '{record.id}'")
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"{record.run.describe()} {record.id[:8]}"
        tags = {"recipe": "r", "strategy": "layernorm", "task": "demo", "status": "completed"}
        assert tags.items() <= run.data.tags.items()
        settings = {"record": record.id, "learning_rate": str(record.run.learning_rate), "training.steps": "10"}
        assert settings.items() <= run.data.params.items()
        histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        seen = {name: [(point.step, point.value) for point in points] for name, points in histories.items()}
        tracked.assert_same(seen, tracked.curves(record) | tracked.once(record))


def test_a_run_that_diverged_or_failed_has_failed(lives, client, tmp_path):
    told = [json.loads(line) for line in lives.lines[1]]
    last = next(news for news in reversed(told) if news["end"] is not None)
    for status in ("diverged", "failed"):
        last["end"]["status"] = status
        process.follow("mlflow", tmp_path, [json.dumps(last).encode()])
        (experiment,) = [each for each in client.search_experiments() if each.name == "r"]
        (run,) = client.search_runs([experiment.experiment_id])
        assert (run.info.status, run.data.tags["status"]) == ("FAILED", status)
