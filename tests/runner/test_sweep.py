"""A sweep goes on in smaller cohorts where one fails or memory runs out, and goes on where it was stopped."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment.recipe import load
from peftcli.runner import cohort as execution
from peftcli.runner import sweep, work
from peftcli.runner.display import Status
from peftcli.runner.progress import Progress
from peftcli.runner.work import SweepSettings
from tests.runner.sweeps import failing, has, results, runs, swept


def test_an_exception_of_one_run_fails_it_alone(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert swept(recipe, tmp_path / "sound", size=1) == 0
    with monkeypatch.context() as patch:
        patch.setattr(training, "advance", failing(has(1, 5e-3), lambda: ArithmeticError("a broken run")))
        assert swept(recipe, tmp_path / "broken") == 1
    said = capsys.readouterr().err
    assert "failed: demo layernorm lr=0.005 seed=1: ArithmeticError at step 3: a broken run" in said
    assert "3 of 4 runs completed" in said
    found, expected = results(recipe, tmp_path / "broken"), results(recipe, tmp_path / "sound")
    assert found[5e-3, 1] == ["failed", [], []]
    assert {key: status for key, (status, *_) in found.items() if key != (5e-3, 1)} == dict.fromkeys(
        [(1e-3, 0), (1e-3, 1), (5e-3, 0)], "completed"
    )
    assert found[5e-3, 0] == expected[5e-3, 0]  # it ended up alone, as in the other sweep
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken").rglob("*.json")}
    assert swept(recipe, tmp_path / "broken") == 1  # not tried again unless asked
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert swept(recipe, tmp_path / "broken", retry="failed") == 0
    changed = [path.stem for path, time in files.items() if path.stat().st_mtime_ns != time]
    assert changed == [f"layernorm-{runs(recipe)[3].id}"]


def test_out_of_memory_trains_fewer_together_and_pins_that(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes: list[int] = []

    def small(cohort: Cohort, state: State) -> bool:
        if state.step == 2:
            sizes.append(len(cohort.runs))
        return state.step == 2 and len(cohort.runs) > 2

    monkeypatch.setattr(training, "advance", failing(small, lambda: torch.OutOfMemoryError("out of memory")))
    assert swept(recipe, tmp_path / "out", size=None) == 0
    assert sizes == [4, 2, 2]
    assert "out of memory: going on with 2 runs together" in capsys.readouterr().err
    assert sizing.pinned(tmp_path / "out", sizing.sweep_id(runs(recipe))) == 2
    for record in (tmp_path / "out" / "demo").iterdir():
        record.unlink()
    assert swept(recipe, tmp_path / "out", size=None) == 0
    assert sizes == [4, 2, 2, 2, 2]


def test_a_device_that_failed_stops_the_sweep(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = failing(lambda cohort, state: state.step == 2, lambda: torch.AcceleratorError("CUDA error: lost\nmore"))
    monkeypatch.setattr(training, "advance", broken)
    with pytest.raises(UserError, match=r"^the device failed \(CUDA error: lost\): run the command again"):
        swept(recipe, tmp_path / "out")
    assert results(recipe, tmp_path / "out") == {}


def test_a_stopped_sweep_goes_on_where_it_was(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert swept(recipe, tmp_path / "whole") == 0
    steps: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(execution.stopping, "asked", lambda: len(steps) == 6)
        with pytest.raises(SystemExit, match="75"):
            watched(recipe, tmp_path / "out", steps)
    assert len(list((tmp_path / "out" / ".checkpoints").iterdir())) == 1
    watched(recipe, tmp_path / "out", steps)
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]  # the last is after the last evaluation
    assert results(recipe, tmp_path / "out") == results(recipe, tmp_path / "whole")
    assert not list((tmp_path / "out" / ".checkpoints").iterdir())


def watched(recipe: Path, output: Path, steps: list[int]) -> None:
    """Train a recipe's one cohort and note the steps."""
    chosen = runs(recipe)
    settings = SweepSettings(load(recipe).model, output, keep_predictions=False)
    progress = Progress(Status(), len, lambda status: None, 60.0, 0.0)
    progress.watch = lambda cohort, state: steps.append(state.step)  # type: ignore[method-assign]
    wanted = frozenset(run.id for run in chosen)
    sweep.train(work.WorkUnit((tuple(chosen),), wanted), replace(settings, checkpoint_seconds=600.0), progress)
