"""What goes wrong in one run is that run's record, and its neighbours neither fail with it nor feel it."""

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
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
    begun = int(time.time())
    assert swept(recipe, tmp_path / "out") == 1
    for run in runs(recipe):
        record = records.find(tmp_path / "out", run)
        assert record is not None
        expected = ("failed", "RuntimeError before training: no mask second line") if run.seed else ("completed", None)
        assert (record.status, record.body["error"]) == expected
        assert record.body["cost"] is None or begun <= record.body["cost"]["ended"] <= time.time()


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


def _other_weights(model: Path) -> None:
    folders.bert(model, seed=5)


def _other_words(model: Path) -> None:
    content = json.loads((model / "tokenizer.json").read_text())
    words = list(content["model"]["vocab"])
    content["model"]["vocab"] = {word: at for at, word in enumerate([*words[:-2], words[-1], words[-2]])}
    (model / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("kind", "change"), [("model", _other_weights), ("tokenizer", _other_words)])
def test_a_record_of_another_origin_is_neither_replaced_nor_joined(
    kind: str, change: Callable[[Path], None], recipe: Path, tmp_path: Path
) -> None:
    assert swept(recipe, tmp_path / "here") == 0
    model = Path(load(recipe).model)
    other = Path(shutil.copytree(model, tmp_path / "elsewhere" / model.name))
    change(other)
    together, settings = runs(recipe), SweepSettings(str(other), tmp_path / "here")
    removed = records.path(settings.output, together[0])
    for wanted in (together[1], together[0]):  # a run that is recorded, and one beside runs that are
        with pytest.raises(UserError, match=f"was made with another {kind} of the same name: its fingerprint is"):
            execution.run_cohort(together, [wanted], settings, lambda cohort, state: None)
        removed.unlink(missing_ok=True)
    assert not removed.exists()


def test_a_record_of_an_earlier_version_is_not_called_another(recipe: Path, tmp_path: Path) -> None:
    assert swept(recipe, tmp_path) == 0
    run = runs(recipe)[0]
    body: Any = {**records.read(records.path(tmp_path, run)).body}
    assert len(body["data"].pop("tokenizer_fingerprint")) == 16
    records.write(tmp_path, run, {key: body[key] for key in body if key not in ("id", "run", "schema")})
    settings = SweepSettings(load(recipe).model, tmp_path)
    assert execution.run_cohort([run], [run], settings, lambda cohort, state: None)
