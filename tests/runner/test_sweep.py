"""A sweep goes on in smaller cohorts where one fails or memory runs out, and goes on where it was stopped."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from peftcli import records
from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment.recipe import load
from peftcli.runner import cohort as execution
from peftcli.runner import costs, grouping, sweep, work
from peftcli.runner.display import Status
from peftcli.runner.progress import Progress
from peftcli.runner.work import SweepSettings
from tests import shortage
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
    # It went on alone from the fourth step, so that its last digits are not those of a run that was alone from the first.
    for entry, undisturbed in zip(found[5e-3, 0][1], expected[5e-3, 0][1], strict=True):
        assert entry == pytest.approx(undisturbed, abs=1e-4)
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
    assert "\nout of memory at step 2: going on from there with 2 runs together\n" in capsys.readouterr().err
    assert sizing.pinned(tmp_path / "out", sizing.sweep_id(runs(recipe))) == sizing.Pin(2)
    for record in (tmp_path / "out" / "demo").iterdir():
        record.unlink()
    assert swept(recipe, tmp_path / "out", size=None) == 0
    assert sizes == [4, 2, 2, 2, 2]


def test_a_device_that_failed_stops_the_sweep(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = failing(lambda cohort, state: state.step == 2, lambda: RuntimeError("CUDA error: lost\nmore"))
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


def split(recipe: Path, output: Path, size: int, checkpoint_seconds: float = 600.0, stop: int = 0) -> None:
    """Train a recipe's runs, so many together; a signal comes after step `stop`."""
    settings = SweepSettings(load(recipe).model, output, keep_predictions=False, checkpoint_seconds=checkpoint_seconds)
    chosen, steps = runs(recipe), [0]
    progress = Progress(Status(), len, lambda status: None, 60.0, 0.0)
    progress.watch = lambda cohort, state: steps.append(state.step)  # type: ignore[method-assign]
    unit = work.WorkUnit(tuple(grouping.cohorts(chosen, settings, size)), work.missing(chosen, settings, False))
    with pytest.MonkeyPatch.context() as patch:
        if stop:
            patch.setattr(execution.stopping, "asked", lambda: steps[-1] == stop)
        sweep.train(unit, settings, progress)


# Where an update was torn the last checkpoint counts: here one after every step, or none at all.
@pytest.mark.parametrize(
    ("place", "seconds", "onward"),
    [
        ("forward", 600.0, "from there"),
        ("backward", 600.0, "from there"),
        ("evaluation", 600.0, "from there"),
        ("update", -1.0, "from what was last saved"),
    ],
)
def test_halves_end_with_the_bits_of_a_sweep_stopped_there_and_continued_at_that_size(
    place: str, seconds: float, onward: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="75"):
        split(recipe, tmp_path / "stopped", 4, stop=8)
    split(recipe, tmp_path / "stopped", 2)
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        shortage.install(patch, place, 8, 2)
        split(recipe, tmp_path / "out", 4, seconds)
    assert capsys.readouterr().err == f"out of memory at step 8: going on {onward} with 2 runs together\n"
    found, expected = results(recipe, tmp_path / "out"), results(recipe, tmp_path / "stopped")
    assert len(found) == 4
    if place == "evaluation":  # a signal there is heard behind it: four runs were evaluated together, and not two
        for run, (*_, evaluations) in found.items():
            assert evaluations[0] == pytest.approx(expected[run][2][0], abs=1e-6)
            evaluations[0] = expected[run][2][0]
    assert found == expected
    assert not list((tmp_path / "out" / ".checkpoints").glob("*"))


def test_halves_of_halves_go_on_from_the_furthest_sound_step(recipe: Path, tmp_path: Path) -> None:
    """Four runs break at step 3, two in an update at step 6 without a checkpoint: each goes on alone from step 3."""
    for stop, size in ((3, 4), (0, 1)):
        with contextlib.suppress(SystemExit):
            split(recipe, tmp_path / "stopped", size, stop=stop)
    with pytest.MonkeyPatch.context() as patch:
        shortage.install(patch, "forward", 3, 2)
        shortage.install(patch, "update", 6, 1)
        split(recipe, tmp_path / "out", 4)
    assert results(recipe, tmp_path / "out") == results(recipe, tmp_path / "stopped")


def test_without_a_checkpoint_a_torn_update_starts_over(recipe: Path, tmp_path: Path) -> None:
    split(recipe, tmp_path / "halves", 2)
    with pytest.MonkeyPatch.context() as patch:
        shortage.install(patch, "update", 8, 2)
        split(recipe, tmp_path / "out", 4)
    assert results(recipe, tmp_path / "out") == results(recipe, tmp_path / "halves")


@pytest.mark.parametrize(
    "error",
    [MemoryError, lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory"),
     lambda: RuntimeError("CUDA error: out of memory\nmore")],
    ids=["numpy", "processor", "CUDA"],
)  # fmt: skip
def test_whatever_says_that_memory_ran_out_pins_a_smaller_size(
    error: Callable[[], Exception], recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shortage.install(monkeypatch, "forward", 2, 2, error)
    assert swept(recipe, tmp_path / "out", size=None) == 0
    assert sizing.pinned(tmp_path / "out", sizing.sweep_id(runs(recipe))) == sizing.Pin(2)


def test_in_float64_halved_runs_end_as_undisturbed_ones(recipe: Path, tmp_path: Path) -> None:
    exact = ["precision=float64", "dropout=0.1"]
    assert swept(recipe, tmp_path / "whole", overrides=exact) == 0
    with pytest.MonkeyPatch.context() as patch:
        shortage.install(patch, "backward", 5, 1)
        assert swept(recipe, tmp_path / "out", overrides=exact) == 0
    found, undisturbed = bodies(tmp_path / "out"), bodies(tmp_path / "whole")
    assert found.keys() == undisturbed.keys()
    for name, body in found.items():
        assert body["cost"]["tokens"] * 4 == pytest.approx(undisturbed[name]["cost"]["tokens"], rel=0.2)
        assert (body["cost"]["cohort"], undisturbed[name]["cost"]["cohort"]) == (1, 4)
        for part in ("training", "evaluations"):
            pairs = zip(body[part], undisturbed[name][part], strict=True)
            assert all(entry == pytest.approx(other, abs=1e-9) for entry, other in pairs)
    tokens = sum(body["cost"]["tokens"] for body in found.values())
    assert tokens == next(iter(undisturbed.values()))["cost"]["tokens"]  # of four runs alone, and of the four together


def bodies(output: Path) -> dict[str, Any]:
    return {record.id: record.body for record in records.read_all(output)[0]}


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock for costs by which every update takes a second, and nothing else takes time."""
    clock, advance = [0.0], training.advance

    def ticked(cohort: Cohort, state: State) -> None:
        advance(cohort, state)
        clock[0] += 1.0

    monkeypatch.setattr(training, "advance", ticked)
    monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=lambda: clock[0]))


@pytest.mark.usefixtures("ticking")
def test_seconds_are_those_of_the_whole_training(recipe: Path, tmp_path: Path) -> None:
    def seconds(name: str) -> set[tuple[float, int]]:
        return {(body["cost"]["seconds"], body["cost"]["cohort"]) for body in bodies(tmp_path / name).values()}

    split(recipe, tmp_path / "undisturbed", 4)
    assert seconds("undisturbed") == {(10.0, 4)}
    for stop in (6, 0):  # a signal
        with contextlib.suppress(SystemExit):
            split(recipe, tmp_path / "signal", 4, stop=stop)
    assert seconds("signal") == {(10.0, 4)}
    with pytest.MonkeyPatch.context() as patch:  # a kill, with a checkpoint at every step
        shortage.install(patch, "backward", 7, 0, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            split(recipe, tmp_path / "kill", 4, -1.0)
    split(recipe, tmp_path / "kill", 4)
    assert seconds("kill") == {(10.0, 4)}
    with pytest.MonkeyPatch.context() as patch:  # two steps of four runs are one of two, then each goes on for eight
        shortage.install(patch, "backward", 2, 2)
        split(recipe, tmp_path / "halves", 4)
    assert seconds("halves") == {(9.0, 2)}


def watched(recipe: Path, output: Path, steps: list[int]) -> None:
    """Train a recipe's one cohort and note the steps."""
    chosen = runs(recipe)
    settings = SweepSettings(load(recipe).model, output, keep_predictions=False)
    progress = Progress(Status(), len, lambda status: None, 60.0, 0.0)
    progress.watch = lambda cohort, state: steps.append(state.step)  # type: ignore[method-assign]
    wanted = frozenset(run.id for run in chosen)
    sweep.train(work.WorkUnit((tuple(chosen),), wanted), replace(settings, checkpoint_seconds=600.0), progress)
