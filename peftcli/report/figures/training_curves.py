"""Curves of training: what records hold of losses and metrics, run by run, and the median over runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from peftcli.report.figures.study import Group
from peftcli.report.table.selection import Outcome
from peftcli.tasks import registry as tasks


@dataclass(frozen=True)
class Curve:
    """One run's values of one quantity, at `steps` (updates or epochs), and how the run ended ("" when as planned)."""

    seed: int
    steps: tuple[float, ...]
    values: tuple[float, ...]
    ended: str = ""


def read(outcome: Outcome, entries: Sequence[Mapping[str, Any]], key: str, against: str) -> Curve | None:
    """Make a curve of what a record holds under `key`, metrics times 100; None where there is nothing of the kind."""
    scale = 1 if key == "loss" else 100
    # The last loss of a run that diverged is not a number; the curve ends before it.
    points = [
        (float(entry[against]), scale * float(entry[key]))
        for entry in entries
        if isinstance(entry.get(key), int | float) and math.isfinite(entry[key])
    ]
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    ended = "" if outcome.state == "completed" else f"{outcome.state} after step {entries[-1]['step']}"
    return Curve(outcome.run.seed, steps, values, ended)


def medians(curves: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """Return the median over runs at each step, while at least half of the runs are left: (steps, values).

    A run counts at the steps it was measured at. Runs stopped early leave; a median of the few that remain would show
    who stayed rather than how training went.
    """
    at: dict[float, list[float]] = {}  # step -> the values of the runs measured there
    for curve in curves:
        for step, value in zip(curve.steps, curve.values, strict=True):
            at.setdefault(step, []).append(value)
    steps = sorted(step for step, values in at.items() if 2 * len(values) >= len(curves))
    return steps, [median(at[step]) for step in steps]


def loss_unit(group: Group) -> str:
    """Name the unit of a task's loss: cross-entropies are in nats, a regression's is a squared difference."""
    task = tasks.TASKS.get(group.column.task)
    kind = task.kind if task else (group.outcomes[0].run.data or {}).get("kind")
    return "squared error" if kind == "regression" else "nats"
