"""A tiny sweep to track, and what a tracker must show of it: the numbers of its records."""

from pathlib import Path
from typing import Any

import pytest

from peftcli import records
from peftcli.cli import sweep as command
from peftcli.experiment import plan
from peftcli.experiment.recipe import load
from peftcli.experiment.run import Run
from peftcli.records import Record
from peftcli.runner import cohort as execution
from peftcli.runner import sweep, work
from peftcli.runner.work import SweepSettings
from tests import folders
from tests.trained import Quiet

TRAINING = {"steps": 10, "batch_size": 4, "max_train_samples": 32, "max_length": 32, "evaluate_every": "4 steps"}
Curves = dict[str, list[tuple[int, float]]]


def recipe(folder: Path, model: Path) -> Path:
    """Write a recipe of four runs that train together."""
    return folders.recipe(folder / "r.yaml", model, strategies=["layernorm"], training=TRAINING)


def runs(recipe: Path) -> list[Run]:
    """The recipe's runs."""
    return [planned.run for planned in plan.expand(load(recipe))]


def swept(recipe: Path, output: Path, *track: str, **options: Any) -> int:
    """Run the recipe as the command line does."""
    return command.sweep(str(recipe), output, cohort=4, predictions=False, track=list(track), **options)


def stop_after(steps: int, recipe: Path, output: Path, *track: str) -> tuple[work.WorkUnit, SweepSettings]:
    """Train the recipe's cohort until a signal after so many steps, for the records of its first three runs."""
    chosen = runs(recipe)
    settings = SweepSettings(load(recipe).model, output, keep_predictions=False, track=track, recipe="r")
    unit = work.WorkUnit((tuple(chosen),), frozenset(run.id for run in chosen[:3]))
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution.stopping, "asked", lambda: seen.append(1) or len(seen) == steps)
        with pytest.raises(SystemExit, match="75"):
            sweep.train(unit, settings, Quiet())  # type: ignore[arg-type]
    return unit, settings


def record(output: Path, run: Run) -> Record:
    """A run's record."""
    written = records.find(output, run)
    assert written is not None
    return written


def curves(record: Record) -> Curves:
    """What a record has of curves: name -> (step, value)."""
    expected: Curves = {}
    for entry in record.body["training"]:
        for name in ("loss", "learning_rate"):
            expected.setdefault(f"train/{name}", []).append((entry["step"], entry[name]))  # type: ignore[literal-required]
    for evaluation in record.body["evaluations"]:
        for name, value in evaluation.items():
            if name not in ("step", "epoch", "split", "collapsed"):
                points = expected.setdefault(f"{evaluation['split']}/{name}", [])
                points.append((evaluation["step"], value))  # type: ignore[arg-type]
    assert {"train/loss", "train/learning_rate", "validation/accuracy"} <= expected.keys()
    return expected


def once(record: Record) -> Curves:
    """What it has beside curves, at its last step: its own cost and its parameters."""
    cost, parameters = record.body["cost"], record.body["parameters"]
    assert cost is not None
    assert parameters is not None
    numbers = {
        "cost/seconds": cost["seconds"] / cost["cohort"],
        "cost/tokens": cost["tokens"] / cost["cohort"],
        "cost/steps": cost["steps"],
        "cost/cohort": cost["cohort"],
        "cost/peak_memory_bytes": cost["peak_memory_bytes"],
        "cost/delta_bytes": cost["delta_bytes"],
        **{f"parameters/{name}": value for name, value in parameters.items()},
    }
    return {name: [(cost["steps"], value)] for name, value in numbers.items()}  # type: ignore[misc]


def assert_same(seen: Curves, expected: Curves) -> None:
    """Every curve and no other, every point once, its value to float32."""
    assert seen.keys() == expected.keys()
    for name, points in expected.items():
        assert [step for step, _ in seen[name]] == [step for step, _ in points], name
        assert [value for _, value in seen[name]] == pytest.approx([value for _, value in points], rel=1e-6), name
