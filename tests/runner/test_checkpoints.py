"""Training that stops anywhere and goes on from a checkpoint ends with the same bits; a damaged one is never gone on from."""

import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli.engine import training
from peftcli.engine.cohort import Cohort, Data
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.runner import cohort as execution
from peftcli.runner.checkpoints import Checkpoints
from tests import faults, tiny

STRATEGIES = ("full", "layernorm", "random", "lora", "childpruning", "diffpruning", "magpruning", "mixout", "gradient")
OPTIONS: dict[str, dict[str, Any]] = {
    "magpruning": {"share": 0.05, "burn_in": 9},
    "mixout": {"share": 0.3, "when": "evaluation"},
}
REST = {  # whose long runs are in `make test-all` alone
    "plain": ("full", "lora", "childpruning", "magpruning", "gradient"),
    "in parts": tuple(strategy for strategy in STRATEGIES if strategy not in ("random", "diffpruning")),
}
STEPS, EPOCH = 24, 5
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"evaluate_every": "1 epoch", "dropout": 0.1},
    "early stopping": {"evaluate_every": "2 steps", "early_stopping": 3, "restore_best": True, "dropout": 0.1},
    "in parts": {"evaluate_every": "1 epoch", "dropout": 0.1, "accumulate": 3, "checkpoint_activations": True},
}


@pytest.fixture(autouse=True)
def _losses_wait_to_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "peftcli.experiment.schedule.LOGGED", 4
    )  # every six updates, so that most checkpoints hold some


def made(strategy: str, settings: str) -> Cohort:
    """Two runs of their own seeds and rates, 18 examples in batches of 4, with a test split evaluated at the end."""
    train, validation = tiny.examples("pair", 18), tiny.examples("pair", 9, 1)
    evaluation = {"validation": validation, "test": tiny.examples("pair", 7, 2)}
    own = Data(train, evaluation, "validation", "pair", ("no", "yes"), ("accuracy",))
    more = {"steps": STEPS, **SETTINGS[settings]}
    runs = [tiny.run(strategy, rate, seed, OPTIONS.get(strategy), **more) for rate, seed in ((1e-2, 0), (3e-3, 1))]
    return tiny.cohort(tiny.backbone("bert", dtype=torch.float32), runs, own=own)


def outcome(state: State) -> dict[str, Any]:
    """All that a state holds, tensors as bytes."""
    tensors = {"flat": state.flat, "mean": state.moments.mean, "square": state.moments.square}
    tensors |= {} if state.best is None else {"best": state.best}
    scored = [{split: (s.logits.tobytes(), s.loss) for split, s in splits.items()} for splits in state.scored]
    return {
        **{name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()},
        "histories": [asdict(history) for history in state.histories],
        "counts": (state.step, state.tokens, state.slots, len(state.pending), len(state.penalties)),
        "scored": scored,
    }


def finished(cohort: Cohort, state: State) -> dict[str, Any]:
    for _ in training.train(cohort, state):
        pass
    return outcome(state)


def resumed(output: Path, strategy: str, settings: str) -> dict[str, Any]:
    """Go on in a cohort made anew, as another process would."""
    cohort = made(strategy, settings)
    state = Checkpoints(output, cohort, 600).resume()
    assert state is not None
    return finished(cohort, state)


# Every strategy stops early; without it, which takes longest, some of them.
@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        pytest.param(strategy, settings, marks=[pytest.mark.whole] if strategy in REST.get(settings, ()) else [])
        for settings in SETTINGS
        for strategy in STRATEGIES
    ],
)
def test_stopped_at_ten_places_it_ends_with_the_same_bits(tmp_path: Path, strategy: str, settings: str) -> None:
    whole = made(strategy, settings)
    expected = finished(whole, training.begin(whole))
    last = expected["counts"][0]
    assert last == STEPS or settings == "early stopping"
    places = random.Random(f"{strategy} {settings}").sample(range(1, last), 10 if last > 10 else last - 1)
    assert any(place % EPOCH for place in places)
    cohort = made(strategy, settings)
    saved = Checkpoints(tmp_path, cohort, 600)
    for state in training.train(cohort, training.begin(cohort)):
        if state.step in places:
            saved.save(state)
            assert resumed(tmp_path, strategy, settings) == expected, f"stopped after step {state.step}"


@pytest.mark.parametrize("settings", SETTINGS)
def test_stopped_before_an_evaluation_it_is_made_up_for(tmp_path: Path, settings: str) -> None:
    whole, cohort = made("layernorm", settings), made("layernorm", settings)
    expected = finished(whole, training.begin(whole))
    state = training.begin(cohort)
    while state.step < min(cohort.schedules[0].evaluations):
        training.advance(cohort, state)
    Checkpoints(tmp_path, cohort, 600).save(state)
    assert not state.histories[0].evaluations
    assert resumed(tmp_path, "layernorm", settings) == expected


@pytest.mark.parametrize("settings", SETTINGS)
def test_stopped_at_the_very_end_nothing_is_evaluated_twice(tmp_path: Path, settings: str) -> None:
    cohort = made("layernorm", settings)
    state = training.begin(cohort)
    expected = finished(cohort, state)
    Checkpoints(tmp_path, cohort, 600).save(state)
    assert resumed(tmp_path, "layernorm", settings) == expected


def test_a_checkpoint_is_saved_when_due_and_removed(tmp_path: Path) -> None:
    cohort = made("layernorm", "plain")
    state = training.begin(cohort)
    patient, eager = Checkpoints(tmp_path / "a", cohort, 600), Checkpoints(tmp_path / "b", cohort, -1)
    for saved in (patient, eager):
        saved.save_if_due(state)
    assert not patient.path.exists()
    assert eager.path.exists()
    eager.remove()
    eager.remove()
    assert not eager.path.exists()


@pytest.fixture
def two_states(tmp_path: Path) -> Iterator[tuple[Checkpoints, State, State]]:
    """A checkpoint saved after five updates, and what it held before and would hold after one more."""
    cohort = made("layernorm", "early stopping")
    saved, old = Checkpoints(tmp_path, cohort, 600), training.begin(cohort)
    while old.step < 5:
        training.advance(cohort, old)
    saved.save(old)
    new = saved.resume()
    assert new is not None
    training.advance(cohort, new)
    assert outcome(new) != outcome(old)
    return saved, old, new


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_kill_leaves_the_old_or_the_new_state(two_states: tuple[Checkpoints, State, State], step: int) -> None:
    saved, old, new = two_states
    assert faults.killed(step, lambda: saved.save(new))
    found = saved.resume()
    assert found is not None
    assert outcome(found) == outcome(new if step > faults.STEPS.index("rename") else old)


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_full_disk_leaves_the_old_or_the_new_state(
    two_states: tuple[Checkpoints, State, State], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, old, new = two_states
    with monkeypatch.context() as patch:
        faults.install(patch, step, faults.full)
        with pytest.raises(UserError, match=r"cannot write .*No space left on device"):
            saved.save(new)
    found = saved.resume()
    assert found is not None
    assert outcome(found) == outcome(new if step > faults.STEPS.index("rename") else old)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_every_damaged_checkpoint_is_refused(
    two_states: tuple[Checkpoints, State, State], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = two_states[0]
    sound, generator = saved.path.read_bytes(), random.Random(damage)
    for number in range(300):
        data = bytearray(sound)
        if damage == "truncated":
            del data[number if number < 100 else generator.randrange(len(data)) :]
        else:
            data[number if number < 100 else generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        saved.path.write_bytes(data)
        assert saved.resume() is None
        assert capsys.readouterr().err == f"{saved.path} is damaged: these runs start over\n"
    saved.path.write_bytes(sound)
    assert saved.resume() is not None


def test_other_data_other_weights_and_another_version_start_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = made("layernorm", "plain")
    saved = Checkpoints(tmp_path, cohort, 600, ["data", "data"])
    saved.save(training.begin(cohort))
    assert Checkpoints(tmp_path, cohort, 600, ["data", "data"]).resume() is not None
    assert Checkpoints(tmp_path, cohort, 600, ["data", "other"]).resume() is None
    assert "other data" in capsys.readouterr().err
    monkeypatch.setattr("peftcli.runner.snapshots.FORMAT", 0)
    assert Checkpoints(tmp_path, cohort, 600, ["data", "data"]).resume() is None
    monkeypatch.undo()
    monkeypatch.setattr(torch, "__version__", "0.1")
    assert Checkpoints(tmp_path, cohort, 600, ["data", "data"]).resume() is None


def test_one_of_another_tokenizer_is_not_gone_on_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = made("layernorm", "plain")
    saved = Checkpoints(tmp_path, cohort, 600, ["data", "data"], ["one", "one"])
    saved.save(training.begin(cohort))
    assert saved.resume() is not None
    assert Checkpoints(tmp_path, cohort, 600, ["data", "data"], ["one", "other"]).resume() is None
    assert "comes from another model or tokenizer, other data or another version" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    saved = Checkpoints(tmp_path, made("layernorm", "plain"), 600)
    saved.path.mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot read checkpoint .*Is a directory"):
        saved.resume()


def test_what_an_ended_process_left_is_removed_with_its_checkpoint(tmp_path: Path) -> None:
    cohort = made("layernorm", "plain")
    saved = Checkpoints(tmp_path, cohort, 600)
    saved.save(training.begin(cohort))
    (saved.path.parent / f".{saved.path.name}.123-abcdef01.tmp").write_bytes(b"a part")
    (saved.path.parent / ".another.safetensors.123-abcdef01.tmp").write_bytes(b"a part of another cohort's")
    saved.remove()
    assert [file.name for file in saved.path.parent.iterdir()] == [".another.safetensors.123-abcdef01.tmp"]


def test_a_rescue_says_that_progress_is_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = made("layernorm", "plain")
    saved, state = Checkpoints(tmp_path, cohort, 600), training.begin(cohort)
    execution._rescue(saved, state)
    assert saved.path.is_file()
    assert capsys.readouterr().err == "stopped after step 0, progress saved: run the command again to go on\n"
