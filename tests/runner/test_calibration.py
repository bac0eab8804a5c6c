"""Calibration: every kind of cohort is timed, what is told follows from the times, and the times are those of training."""

import json
import os
import time
from pathlib import Path

import pytest
import torch

from peftcli import records
from peftcli.cli import calibrate
from peftcli.engine import optimizer
from peftcli.engine.cohort import Cohort
from peftcli.experiment import plan
from peftcli.experiment.recipe import load
from peftcli.runner import calibration, grouping, sweep
from peftcli.runner.calibration import Timing
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import folders

TRAINING = {"epochs": 30, "batch_size": 8, "max_train_samples": 64, "evaluate_every": "3 epochs"}


class Quiet:
    """Progress that shows nothing."""

    def begin(self, cohort: object) -> None: ...
    def end(self, statuses: object) -> None: ...
    def watch(self, cohort: object, state: object) -> None: ...


def train(file: Path, output: Path, only: slice = slice(None)) -> float:
    """Train cohorts of two; gives the seconds they took."""
    recipe = load(file, {})
    settings = SweepSettings(recipe.model, output)
    runs = [planned.run for planned in plan.expand(recipe)]
    groups = tuple(grouping.cohorts(runs, settings, 2))[only]
    began = time.perf_counter()
    sweep.train(WorkUnit(groups, frozenset(run.id for group in groups for run in group)), settings, Quiet())
    return time.perf_counter() - began


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    changes = {"strategies": ["layernorm", "bitfit"], "seeds": 3, "learning_rates": [1e-3], "training": TRAINING}
    return folders.recipe(tmp_path / "recipe.yaml", tiny_folder, **changes)


def shown(recipe: Path, output: Path, walltime: str | None = None) -> dict:
    return json.loads(json.dumps(calibrate.describe(load(recipe), output, None, 2, walltime, None)))


def test_every_kind_of_cohort_that_is_left_is_timed_and_nothing_is_written(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    found = shown(recipe, tmp_path / "out", "10")
    assert not (tmp_path / "out").exists()
    kinds = {(kind["name"], kind["runs"]): kind for kind in found["kinds"]}
    assert set(kinds) == {(name, runs) for name in ("demo layernorm", "demo bitfit") for runs in (1, 2)}
    for kind in kinds.values():
        assert (kind["cohorts"], kind["steps"], kind["evaluations"]) == (1, 240, 10)
        expected = kind["start"] + 240 * kind["step"] + 10 * kind["evaluation"]
        assert kind["seconds"] == pytest.approx(expected)
        assert kind["fit"] == int((600 - found["process_start_seconds"]) / kind["seconds"])
    assert (found["runs"], found["cohorts"]) == (6, 4)
    assert found["hours"] == pytest.approx(sum(kind["seconds"] for kind in kinds.values()) / 3600)


def test_what_is_recorded_is_not_counted(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    train(recipe, tmp_path / "out", slice(0, 3))
    found = shown(recipe, tmp_path / "out")
    assert [(kind["name"], kind["runs"]) for kind in found["kinds"]] == [("demo bitfit", 1)]
    assert found["kinds"][0]["fit"] is None
    text = calibrate.text(shown(recipe, tmp_path / "out", "1:00:00"))
    assert "fit in 60.0 min" in text
    assert "1 runs left in 1 cohorts" in text


# Where memory runs out: in what is measured, in its first step, or while the runs are made ready.
@pytest.mark.parametrize("place", ["forward", "update", "evaluation", "gather"])
def test_out_of_memory_it_times_smaller_cohorts_and_says_so(place, recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    fails(monkeypatch, place, lambda runs: len(runs) > 2)
    found = calibrate.describe(load(recipe), tmp_path / "out", None, 3, None, None)
    said = capsys.readouterr().err
    assert "out of memory with 3 runs of demo layernorm lr=0.001 seed=0: going on with 2 runs together\n" in said
    assert said.count("out of memory") == 1  # the other strategy's cohorts are cut too, before they are tried
    sizes = [(kind["name"], kind["runs"], kind["cohorts"]) for kind in found["kinds"]]
    assert sizes == [(name, runs, 1) for name in ("demo layernorm", "demo bitfit") for runs in (2, 1)]
    assert (found["runs"], found["cohorts"], found["too_large"]) == (6, 4, [])
    assert not (tmp_path / "out" / ".sweeps").exists()


def test_a_kind_that_does_not_fit_at_all_is_named_and_the_others_are_timed(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    fails(monkeypatch, "gather", lambda runs: runs[0].strategy == "layernorm")
    found = calibrate.describe(load(recipe), tmp_path / "out", None, 3, None, None)
    assert (
        "out of memory with 1 run of demo layernorm lr=0.001 seed=0: this kind is left out\n" in capsys.readouterr().err
    )
    assert {kind["name"] for kind in found["kinds"]} == {"demo bitfit"}
    assert "\ndemo layernorm: memory does not hold one run of it, so its time is not counted\n" in calibrate.text(found)


def fails(monkeypatch, place, condition):
    """Run out of memory at a place for the runs of which a condition is true."""
    modules = {"forward": Cohort, "update": optimizer, "evaluation": calibration, "gather": calibration}
    names = {"forward": "loss", "update": "update", "evaluation": "_score", "gather": "assemble"}
    own, runs = getattr(modules[place], names[place]), []

    def gather(chosen, *rest):
        runs[:] = chosen
        return assemble(chosen, *rest)

    def failing(*arguments):
        if place == "gather":
            runs[:] = arguments[0]
        if condition(runs):
            raise torch.OutOfMemoryError("no room")
        return own(*arguments)

    assemble = calibration.assemble
    monkeypatch.setattr(calibration, "assemble", gather)
    monkeypatch.setattr(modules[place], names[place], failing)


def test_how_many_fit():
    timing = Timing("a", "alike", 3, 2, start=10.0, step=0.1, steps=400, evaluation=5.0, evaluations=2)
    assert timing.seconds == 60.0
    assert calibration.fitting(timing, 20.0, 3600.0) == 59
    assert calibration.fitting(timing, 20.0, 70.0) == 0


@pytest.mark.bench
def test_the_times_are_those_that_training_takes(recipe, tmp_path):
    if os.getloadavg()[0] > 0.5 * len(os.sched_getaffinity(0)):
        pytest.skip("others are at work on this machine: times say nothing")
    found = shown(recipe, tmp_path / "out")
    assert train(recipe, tmp_path / "out") / (3600 * found["hours"]) == pytest.approx(1, abs=0.3)
    assert len(records.read_all(tmp_path / "out")[0]) == 6
