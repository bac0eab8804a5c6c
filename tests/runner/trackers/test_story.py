"""What trackers are told of a run: names that tell runs apart, settings as scalars, its own share of a cohort's cost."""

from pathlib import Path

import pytest

from peftcli.runner.trackers import story
from tests import tiny


def test_a_run_is_named_for_a_person_and_grouped_by_its_strategy():
    run = tiny.run("lora", 1e-3, 3)
    told = story.story(run, "demo", Path("out"))
    assert told.name == f"tiny lora:rank=2,alpha=4.0 lr=0.001 seed=3 {run.id[:8]}"
    assert (told.id, told.recipe, told.group) == (run.id, "demo", "lora:rank=2,alpha=4.0")
    assert told.folder == f"out/.tensorboard/tiny/lora-lr0.001-seed3-{run.id}"


def test_settings_are_scalars_by_dotted_names():
    run = tiny.run("spafit", 1e-3)
    settings = story.story(run, "demo", Path("out")).settings
    assert {type(value) for value in settings.values()} <= {str, int, float, bool}
    assert settings["options.groups"] == "[0, 1]"
    assert settings["training.batch_size"] == 4
    assert settings["training.max_train_samples"] == "null"
    assert settings["record"] == run.id
    assert "data" not in settings
    assert len(settings) == len(run.protocol.model_dump()) + len(run.options) + 7  # and record, recipe, model, task, …


def test_points_have_names_with_their_split_and_no_numbers_that_are_not_there():
    entry = {"step": 3, "epoch": 0.5, "loss": None, "learning_rate": 1e-3}
    assert story.training_point(entry) == (3, {"train/learning_rate": 1e-3})
    evaluation = {"step": 3, "epoch": 0.5, "split": "test", "loss": 0.2, "accuracy": 1, "collapsed": True}
    assert story.evaluation_point(evaluation) == (3, {"test/loss": 0.2, "test/accuracy": 1.0})


@pytest.mark.parametrize(("cohort", "seconds"), [(4, 2.0), (1, 8.0), (None, 8.0)])
def test_a_run_has_its_share_of_a_cohort_s_cost(cohort, seconds):
    cost = {"seconds": 8.0, "tokens": 8, "steps": 10, "peak_memory_bytes": 800, "cohort": cohort, "delta_bytes": None}
    body = {"status": "completed", "cost": cost, "parameters": {"total": 5}}
    told = story.end(body)  # type: ignore[arg-type]
    assert told.step == 10
    assert (told.numbers["cost/seconds"], told.numbers["cost/tokens"]) == (seconds, seconds)
    assert told.numbers["cost/peak_memory_bytes"] == 800  # the whole cohort's
    assert told.numbers["parameters/total"] == 5
    assert "cost/delta_bytes" not in told.numbers


def test_a_failed_run_has_an_end_without_numbers():
    body = {"status": "failed", "cost": None, "parameters": None}
    assert story.end(body) == story.End("failed", 0, {})  # type: ignore[arg-type]
