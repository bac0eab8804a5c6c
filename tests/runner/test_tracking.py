"""Curves for TensorBoard: what its own reader finds in the files is what the records say, each step once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from peftcli import records
from peftcli.cli import sweep as command
from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment.recipe import load
from peftcli.experiment.run import Run
from peftcli.records import Record, merge
from peftcli.runner import cohort as execution
from peftcli.runner import sweep, tracking, work
from peftcli.runner.work import SweepSettings
from tests import folders
from tests.trained import Quiet

TRAINING = {"steps": 10, "batch_size": 4, "max_train_samples": 32, "max_length": 32, "evaluate_every": "4 steps"}


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    return folders.recipe(tmp_path / "r.yaml", tiny_folder, strategies=["layernorm"], training=TRAINING)


def runs(recipe: Path) -> list[Run]:
    return [planned.run for planned in plan.expand(load(recipe))]


def found(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads: tag -> (step, value)."""
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(folder), {"scalars": 0})
    events.Reload()
    return {tag: [(own.step, own.value) for own in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def said(record: Record) -> Iterator[tuple[str, int, float]]:
    """What a record has: tag, step, value."""
    for entry in record.body["training"]:
        for name in ("loss", "learning_rate"):
            yield f"train/{name}", entry["step"], entry[name]
    for entry in record.body["evaluations"]:
        for name, value in entry.items():
            if name not in ("step", "epoch", "split", "collapsed"):
                yield f"{entry['split']}/{name}", entry["step"], value


def assert_same(output: Path, run: Run) -> None:
    record = records.find(output, run)
    assert record is not None
    expected: dict[str, list[tuple[int, float]]] = {}
    for tag, step, value in said(record):
        expected.setdefault(tag, []).append((step, value))
    curves = found(tracking.folder(output, run))
    assert curves.keys() == expected.keys()
    assert {"train/loss", "train/learning_rate", "validation/accuracy"} <= curves.keys()
    for tag, points in expected.items():
        assert [step for step, _ in curves[tag]] == [step for step, _ in points]
        assert [value for _, value in curves[tag]] == pytest.approx([value for _, value in points], rel=1e-6)


def contents(output: Path) -> dict[str, Any]:
    return {record.id: merge.content(record.body) for record in records.read_all(output)[0]}


def swept(recipe: Path, output: Path, track: str | None) -> int:
    return command.sweep(str(recipe), output, cohort=4, predictions=False, track=track)


def test_curves_are_the_records_numbers_and_change_no_record(recipe, tmp_path):
    assert swept(recipe, tmp_path / "with", "tensorboard") == 0
    assert swept(recipe, tmp_path / "without", None) == 0
    for run in runs(recipe):
        assert_same(tmp_path / "with", run)
    assert contents(tmp_path / "with") == contents(tmp_path / "without")
    assert not (tmp_path / "without" / tracking.FOLDER).exists()


def test_a_resumed_run_has_every_step_once(recipe, tmp_path, monkeypatch):
    chosen = runs(recipe)
    settings = SweepSettings(load(recipe).model, tmp_path / "out", keep_predictions=False, track="tensorboard")
    unit = work.WorkUnit((tuple(chosen),), frozenset(run.id for run in chosen[:3]))
    with monkeypatch.context() as patch:
        seen = []
        patch.setattr(execution.stopping, "asked", lambda: seen.append(1) or len(seen) == 6)
        with pytest.raises(SystemExit, match="75"):
            sweep.train(unit, replace(settings, checkpoint_seconds=600.0), Quiet())
    half = found(tracking.folder(settings.output, chosen[0]))
    assert [step for step, _ in half["train/loss"]] == [1, 2, 3, 4, 5, 6]
    sweep.train(unit, settings, Quiet())
    for run in chosen[:3]:
        assert_same(settings.output, run)
    assert not tracking.folder(settings.output, chosen[3]).exists()  # trained along, not asked for


@pytest.mark.whole  # two processes, of which test_parallel shows that they train alike
def test_processes_that_train_a_run_together_write_its_curves_once(recipe, environment, tmp_path, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    together = {"launcher": "accelerate", "processes": 2, "processes_per_run": 2}
    assert command.sweep(str(recipe), tmp_path / "out", cohort=2, track="tensorboard", **together) == 0
    for run in runs(recipe):
        assert_same(tmp_path / "out", run)


def test_a_tracker_that_cannot_be_had_is_refused_before_anything_is_trained(recipe, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"unknown value of --track 'wandb'.*tensorboard"):
        swept(recipe, tmp_path / "out", "wandb")
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(UserError) as refused:
        swept(recipe, tmp_path / "out", "tensorboard")
    assert str(refused.value) == "--track tensorboard needs the package tensorboard: pip install 'peftcli[tensorboard]'"
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fails_ends_the_curves_and_not_the_run(recipe, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / tracking.FOLDER).write_text("in the way")
    assert swept(recipe, tmp_path / "out", "tensorboard") == 0
    assert capsys.readouterr().err.count("no more curves of demo layernorm") == 4
    assert len(contents(tmp_path / "out")) == 4


def test_the_command_line_knows_the_option(environment, tmp_path):
    hidden = tmp_path / "hidden"  # a tensorboard that is not there
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nown = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'tensorboard' else own(name, *more)\n"
    )
    path = os.pathsep.join([str(hidden), environment["PYTHONPATH"]])
    given = ["--strategy", "layernorm", "--task", "demo", "--model", "minilm", "--track", "tensorboard"]
    done = subprocess.run(
        [sys.executable, "-m", "peftcli", "train", *given, "--output", str(tmp_path / "out")],
        env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        done.stderr
        == "peftcli: --track tensorboard needs the package tensorboard: pip install 'peftcli[tensorboard]'\n"
    )
    assert not (tmp_path / "out").exists()
