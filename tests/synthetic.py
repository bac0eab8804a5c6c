"""Whole synthetic records for a recipe: curves that look like training, of runs that end in any way."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from peftcli import records
from peftcli.experiment import plan
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.tasks import registry as tasks
from tests import written_records

STATES = ("completed", "diverged", "failed", "missing", "collapsed")


def write_all(recipe: Recipe, output: Path, state: Callable[[Planned], str] | None = None, points: int = 40) -> None:
    """Write a record of every run; `state` gives each run's state (completed where not given)."""
    with written_records.unsynced():
        for planned in plan.expand(recipe):
            ending = state(planned) if state else "completed"
            assert ending in STATES
            if ending != "missing":
                records.write(output, planned.run, _body(planned, ending, points))


def level(planned: Planned) -> float:
    """The metric that a run's curve ends near, a fraction: by strategy, task, learning rate and seed."""
    noise = np.random.default_rng([planned.run.seed, planned.strategy, planned.task]).normal(0, 0.01)
    return float(0.85 - 0.02 * planned.strategy - 0.04 * planned.task + 0.5 * planned.run.learning_rate + noise)


def _body(planned: Planned, ending: str, points: int) -> dict[str, Any]:
    steps = [25 * (at + 1) for at in range(points // 2 if ending == "diverged" else points)]
    if ending == "failed":
        return written_records.body(
            {}, "failed", training=[], evaluations=[], error="RuntimeError: <b>no</b> memory & more"
        )
    changes = {"training": _training(planned, steps), "evaluations": _evaluations(planned, steps, ending)}
    if ending == "diverged":
        return written_records.body({}, "diverged", error="loss or weights not finite at step 500", **changes)
    return written_records.body({}, "completed", **changes)


def _training(planned: Planned, steps: list[int]) -> list[dict[str, Any]]:
    source = np.random.default_rng([planned.run.seed, planned.strategy, planned.task, 7])
    losses = [_falling(step, 0.15) + 0.03 * abs(source.normal()) for step in steps]
    return [
        {"step": step, "epoch": step / 100, "loss": loss, "learning_rate": 1e-4}
        for step, loss in zip(steps, losses, strict=True)
    ]


def _evaluations(planned: Planned, steps: list[int], ending: str) -> list[dict[str, Any]]:
    """Evaluations at every fifth step; the last (where a split was held out, the test split's) has the run's level."""
    task = tasks.TASKS.get(planned.run.task)
    splits, names = (task.evaluation, task.metrics) if task else (("validation",), ("accuracy",))
    final = 0.5 if ending == "collapsed" else level(planned)
    found = []
    for step in steps[4::5]:
        score = final * (1 - math.exp(-6 * step / steps[-1])) if step != steps[-1] else final
        entry = {"step": step, "epoch": step / 100, "loss": _falling(step, 0.35), **dict.fromkeys(names, score)}
        found += [{**entry, "split": split, "collapsed": ending == "collapsed"} for split in splits]
    if planned.run.protocol.validation_share and ending != "diverged":
        found.append({**found[-1], "split": "test"})
    return found


def _falling(step: int, floor: float) -> float:
    return floor + 0.55 * math.exp(-step / 500)
