"""What the hub reads of a card: results under its own names of metrics and splits, and data only where it has them."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from peftcli import records
from peftcli.deltas import hub_metadata
from peftcli.deltas.exported import Exported
from peftcli.deltas.file import Delta, Members
from peftcli.deltas.recorded import Recorded
from tests.written_records import body, runs, small


def read(task: str, scores: dict[str, Any], training: dict[str, Any] | None = None) -> Any:
    """The metadata of a card about a run of a task with these scores."""
    run = runs(small(tasks=[task], training=training or {}))[0]
    delta = Delta(run, "minilm", "f", "d", (), Members((run.seed,), 0, {}), {})
    record = records.Record(Path("x.json"), body(scores))  # type: ignore[arg-type]
    about = Exported(delta, "minilm", "transformers", "out", Recorded(record, {run.seed: scores}), "unknown")
    return ModelCard(f"---\n{hub_metadata.write(about)}\n---\n").data


def test_a_published_task_s_results() -> None:
    scores = {"validation": {"spearman": 0.5, "pearson": 0.25, "mean_pearson_spearman": 0.375, "loss": 1.0}}
    data = read("stsb", scores)
    assert [(r.dataset_type, r.dataset_config, r.dataset_split) for r in data.eval_results] == [
        ("nyu-mll/glue", "stsb", "validation")
    ] * 3
    assert [(r.metric_type, r.metric_value) for r in data.eval_results] == [
        ("spearmanr", 0.5), ("pearsonr", 0.25), ("mean_pearson_spearman", 0.375)
    ]  # fmt: skip
    assert data.datasets == ["nyu-mll/glue"]
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.metrics == ["spearmanr", "pearsonr", "mean_pearson_spearman"]
    assert (data.license, data.pipeline_tag, data.model_name) == ("unknown", "text-classification", "out")


def test_the_development_set_has_the_hub_s_name_where_we_call_it_the_test_set() -> None:
    scores = {"validation": {"matthews": 0.1}, "test": {"matthews": 0.2}, "train": {"matthews": 0.3}}
    (result,) = read("cola", scores, {"validation_share": 0.1}).eval_results
    assert (result.dataset_split, result.metric_type, result.metric_value) == (
        "validation", "matthews_correlation", 0.2
    )  # fmt: skip
    both = {f"validation_{name}": {"accuracy": value} for name, value in (("matched", 0.8), ("mismatched", 0.7))}
    assert [(r.dataset_split, r.metric_value) for r in read("mnli", both).eval_results] == [
        ("validation_matched", 0.8), ("validation_mismatched", 0.7)
    ]  # fmt: skip


@pytest.mark.parametrize(("task", "datasets"), [("demo", None), ("ptb", None), ("cb", ["aps/super_glue"])])
def test_data_that_the_hub_does_not_have_is_not_named_as_its_own(task: str, datasets: Any) -> None:
    data = read(task, {"validation": {"accuracy": 0.5}})
    assert data.datasets == datasets
    assert (data.eval_results[0].dataset_type == task) == (datasets is None)
