"""Tracked runs, by TensorBoard's own reader: they have the numbers of the records, each step once, and change no record."""

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from peftcli import records
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.records import merge
from peftcli.runner import sweep, tracking
from peftcli.runner.trackers import story
from tests.runner import tracked
from tests.runner.tracked import swept
from tests.trained import Quiet


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    return tracked.recipe(tmp_path, tiny_folder)


def drawn(output: Path, run: Run) -> tracked.Curves:
    """What TensorBoard reads: tag -> (step, value)."""
    folder = Path(story.folder(output, run))
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(folder), {"scalars": 0})
    events.Reload()
    return {tag: [(own.step, own.value) for own in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def assert_tracked(output: Path, run: Run) -> None:
    record = tracked.record(output, run)
    tracked.assert_same(drawn(output, run), tracked.curves(record) | tracked.once(record))


def contents(output: Path) -> dict[str, Any]:
    return {record.id: merge.content(record.body) for record in records.read_all(output)[0]}


def test_curves_are_the_records_numbers_and_change_no_record(recipe, tmp_path):
    assert swept(recipe, tmp_path / "with", "tensorboard") == 0
    assert swept(recipe, tmp_path / "without") == 0
    for run in tracked.runs(recipe):
        assert_tracked(tmp_path / "with", run)
    assert contents(tmp_path / "with") == contents(tmp_path / "without")
    assert [file.name for file in (tmp_path / "without").iterdir() if "t" in file.name] == []


def test_a_resumed_run_has_every_step_once(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "SHORT", 60.0)
    unit, settings = tracked.stop_after(6, recipe, tmp_path / "out", "tensorboard")
    chosen = tracked.runs(recipe)
    assert [step for step, _ in drawn(settings.output, chosen[0])["train/loss"]] == [1, 2, 3, 4, 5, 6]
    sweep.train(unit, settings, Quiet())
    for run in chosen[:3]:
        assert_tracked(settings.output, run)
    assert not Path(story.folder(settings.output, chosen[3])).exists()  # trained along, not asked for


@pytest.mark.whole  # two processes, of which test_parallel shows that they train alike
def test_processes_that_train_a_run_together_write_its_curves_once(recipe, environment, tmp_path, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    together = {"launcher": "accelerate", "processes": 2, "processes_per_run": 2}
    assert swept(recipe, tmp_path / "out", "tensorboard", **together) == 0
    for run in tracked.runs(recipe):
        assert_tracked(tmp_path / "out", run)


def test_one_that_cannot_be_had_is_refused_before_anything_is_trained(recipe, tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match=r"unknown value of --track 'wanb': did you mean 'wandb'\? known: wandb, mlflow"
    ):
        swept(recipe, tmp_path / "out", "tensorboard,wanb")
    with pytest.raises(UserError, match="unknown value of --track ''"):
        swept(recipe, tmp_path / "out", "")
    # An empty folder of that name in the working folder, as wandb itself leaves one, is a package without an origin.
    for spec in (None, ModuleSpec("folder", None)):
        monkeypatch.setattr(tracking, "find_spec", lambda name, spec=spec: spec)
        for name in tracking.TRACKERS:
            with pytest.raises(UserError) as refused:
                swept(recipe, tmp_path / "out", name)
            assert str(refused.value) == f"--track {name} needs the package {name}: pip install 'peftcli[{name}]'"
    assert not (tmp_path / "out").exists()


def test_several_are_named_once_each(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: ModuleSpec(name, None, origin="there"))
    assert tracking.check(["mlflow,wandb", "trackio", "wandb"]) == ("mlflow", "wandb", "trackio")
    assert tracking.check([]) == ()


def test_a_tracker_that_fails_says_so_once_and_training_goes_on(recipe, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / story.FOLDER).write_text("in the way")
    assert swept(recipe, tmp_path / "out", "tensorboard") == 0
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "--track" in line]
    assert said.startswith("--track tensorboard: ")
    assert said.endswith("; training goes on, untracked there")
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
