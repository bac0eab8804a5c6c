"""What goes wrong in one run is that run's record, and its neighbours neither fail with it nor feel it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli import records
from peftcli.cli import sweep as command
from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import plan
from peftcli.experiment.recipe import load
from peftcli.experiment.run import Run
from peftcli.runner import cohort as execution
from peftcli.runner import sweep, work
from peftcli.runner.display import Status
from peftcli.runner.progress import Progress
from peftcli.runner.work import SweepSettings
from tests import folders, tiny


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs of one strategy, ten steps each, that make one cohort."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    training = {"steps": 10, "batch_size": 4, "max_train_samples": 32, "max_length": 32}
    return folders.recipe(tmp_path / "small.yaml", tiny_folder, strategies=["layernorm"], training=training)


def runs(recipe: Path) -> list[Run]:
    return [planned.run for planned in plan.expand(load(recipe))]


def swept(recipe: Path, output: Path, size: int | None = 4, **changes: Any) -> int:
    return command.sweep(str(recipe), output, cohort=size, predictions=False, **changes)


def results(recipe: Path, output: Path) -> dict[float, list[Any]]:
    """By learning rate and seed: status, training and evaluations of every run."""
    found = [records.find(output, run) for run in runs(recipe)]
    return {
        (r.body["run"]["learning_rate"], r.body["run"]["seed"]): [r.status, r.body["training"], r.body["evaluations"]]
        for r in found if r is not None
    }  # fmt: skip


def failing(
    condition: Callable[[Cohort, State], bool], error: Callable[[], Exception]
) -> Callable[[Cohort, State], None]:
    """An update that raises an error under a condition, and is the engine's own otherwise."""
    own = training.advance

    def advance(cohort: Cohort, state: State) -> None:
        if condition(cohort, state):
            raise error()
        own(cohort, state)

    return advance


def has(seed: int, rate: float) -> Callable[[Cohort, State], bool]:
    def condition(cohort: Cohort, state: State) -> bool:
        return state.step == 3 and any(r.seed == seed and r.learning_rate == rate for r in cohort.runs)

    return condition


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


def test_an_error_before_training_is_recorded_as_well(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather = execution.gather

    def broken(chosen: Sequence[Run], *rest: Any) -> Cohort:
        if any(run.seed == 1 for run in chosen):
            raise RuntimeError("no mask\nsecond line")
        return gather(chosen, *rest)

    monkeypatch.setattr(execution, "gather", broken)
    assert swept(recipe, tmp_path / "out") == 1
    for run in runs(recipe):
        record = records.find(tmp_path / "out", run)
        assert record is not None
        expected = ("failed", "RuntimeError before training: no mask second line") if run.seed else ("completed", None)
        assert (record.status, record.body["error"]) == expected


def test_a_run_that_diverges_is_recorded_with_its_step(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    training = {"steps": 10, "batch_size": 4, "max_train_samples": 32, "max_length": 32}
    made = {"strategies": ["full"], "training": training, "learning_rates": [1e-3, 1e38], "seeds": [0]}
    recipe = folders.recipe(tmp_path / "wild.yaml", tiny_folder, **made)
    assert swept(recipe, tmp_path / "out") == 1
    found = results(recipe, tmp_path / "out")
    assert found[1e-3, 0][0] == "completed"
    assert found[1e38, 0][0] == "diverged"
    assert "diverged: demo full lr=1e+38 seed=0: loss or weights not finite at step " in capsys.readouterr().err
    assert swept(recipe, tmp_path / "out", retry="failed") == 1  # diverged counts as done


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_poisoned_run_leaves_its_neighbours_to_the_bit(poison: float) -> None:
    chosen = [tiny.run("full", rate, seed, dropout=0.1) for rate, seed in ((1e-3, 0), (3e-3, 1), (1e-3, 2), (5e-4, 3))]
    ended = []
    for poisoned in (False, True):
        cohort = tiny.cohort(tiny.backbone("bert", dtype=torch.float32), chosen)
        state = training.begin(cohort)
        for current in training.train(cohort, state):
            if poisoned and current.step == 7:
                current.flat.data[1] = poison
        ended.append(state)
    sound, sick = ended
    assert [history.diverged for history in sick.histories] == [None, 8, None, None]
    assert [history.diverged for history in sound.histories] == [None] * 4
    for row in (0, 2, 3):
        assert torch.equal(sound.flat[row], sick.flat[row])
        assert torch.equal(sound.moments.square[row], sick.moments.square[row])
        assert sound.histories[row] == sick.histories[row]


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


def test_out_of_memory_with_one_run_fails_that_run(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "advance", failing(has(0, 1e-3), lambda: torch.OutOfMemoryError("no room")))
    assert swept(recipe, tmp_path / "out") == 1
    found = results(recipe, tmp_path / "out")
    assert [status for status, *_ in found.values()].count("failed") == 1
    record = records.find(tmp_path / "out", runs(recipe)[0])
    assert record is not None
    assert record.body["error"] == "OutOfMemoryError at step 3: no room"
    assert not (tmp_path / "out" / ".sweeps").exists()  # the size was given, so none is pinned


def test_a_device_that_failed_stops_the_sweep(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = failing(lambda cohort, state: state.step == 2, lambda: torch.AcceleratorError("CUDA error: lost\nmore"))
    monkeypatch.setattr(training, "advance", broken)
    with pytest.raises(UserError, match=r"^the device failed \(CUDA error: lost\): run the command again"):
        swept(recipe, tmp_path / "out")
    assert results(recipe, tmp_path / "out") == {}


def test_a_results_folder_that_vanishes_stops_the_sweep(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    own = training.advance

    def advance(cohort: Cohort, state: State) -> None:
        if state.step == 3 and output.exists():
            output.rmdir()
        own(cohort, state)

    monkeypatch.setattr(training, "advance", advance)
    with pytest.raises(UserError, match=r"results folder .*out has vanished"):
        swept(recipe, output)
    assert not output.exists()
    monkeypatch.undo()
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    assert swept(recipe, output) == 0


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


def test_a_record_of_another_model_of_the_same_name_is_not_replaced(recipe: Path, tmp_path: Path) -> None:
    assert swept(recipe, tmp_path / "here") == 0
    loaded = load(recipe)
    other = folders.bert(tmp_path / "elsewhere" / Path(loaded.model).name, seed=5)
    run = runs(recipe)[0]
    with pytest.raises(UserError, match="was made with another model of the same name"):
        execution.run_cohort([run], [run], SweepSettings(str(other), tmp_path / "here"), lambda cohort, state: None)
