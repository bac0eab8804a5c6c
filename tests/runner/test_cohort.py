"""What goes wrong in one run is that run's record, and its neighbours neither fail with it nor feel it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli import records
from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.experiment.recipe import load
from peftcli.experiment.run import Run
from peftcli.runner import cohort as execution
from peftcli.runner.work import SweepSettings
from tests import folders, tiny
from tests.runner.sweeps import failing, has, results, runs, swept


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


def test_a_record_of_another_model_of_the_same_name_is_not_replaced(recipe: Path, tmp_path: Path) -> None:
    assert swept(recipe, tmp_path / "here") == 0
    loaded = load(recipe)
    other = folders.bert(tmp_path / "elsewhere" / Path(loaded.model).name, seed=5)
    run = runs(recipe)[0]
    with pytest.raises(UserError, match="was made with another model of the same name"):
        execution.run_cohort([run], [run], SweepSettings(str(other), tmp_path / "here"), lambda cohort, state: None)
