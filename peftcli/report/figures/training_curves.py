"""Curves of losses or metrics of every seed and their medians, as numbers (freezing, Figures 2, 4, 6, 9 and 10)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from peftcli.report.figures import style
from peftcli.report.figures.spec import Curves
from peftcli.report.figures.study import Group, Study
from peftcli.report.table import layout
from peftcli.report.table.selection import Outcome
from peftcli.tasks import registry as tasks

TRAINING, VALIDATION = "training loss", "validation loss"


@dataclass(frozen=True)
class Curve:
    """One run's values of one quantity, at `steps` (updates or epochs), and how the run ended ("" when as planned)."""

    seed: int
    steps: tuple[float, ...]
    values: tuple[float, ...]
    ended: str = ""


@dataclass(frozen=True)
class Panel:
    """One group of seeds: its curves by quantity, how many runs there should be, and the unit of a loss."""

    row: str
    column: str
    rate: str
    quantities: dict[str, tuple[Curve, ...]]
    expected: int
    unit: str

    @property
    def title(self) -> str:
        """Task and strategy in words."""
        return f"{self.column}, {self.row}"


def panels(spec: Curves, study: Study) -> list[Panel]:
    """Collect the curves of each task, strategy and learning rate asked for."""
    found = []
    for group in study.groups(spec.tasks, spec.strategies, spec.learning_rate):
        names = _quantities(spec, group)
        lines = [_of_run(spec, study, group, outcome, names) for outcome in group.outcomes]
        quantities = {name: tuple(own[name] for own in lines if name in own) for name in names}
        rate = f"learning rate {layout.rate_text(group.learning_rate)}"
        row = f"{group.label}, {rate}" if spec.learning_rate == "all" else group.label
        found.append(Panel(row, group.column.label, rate, quantities, len(group.outcomes), loss_unit(group)))
    return found


def read(outcome: Outcome, entries: Sequence[Mapping[str, Any]], key: str, against: str) -> Curve | None:
    """Make a curve of what a record holds under `key`, metrics times 100; None where there is nothing of the kind."""
    scale = 1 if key == "loss" else 100
    points = [(float(e[against]), scale * float(e[key])) for e in entries if _finite(e.get(key))]
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    ended = "" if outcome.state == "completed" else f"{outcome.state} after step {entries[-1]['step']}"
    return Curve(outcome.run.seed, steps, values, ended)


def medians(curves: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """The median over runs at each step, while at least half of the runs are left: (steps, values).

    A run counts at the steps it was measured at. Runs stopped early leave; a median of the few that remain would show
    who stayed rather than how training went.
    """
    at: dict[float, list[float]] = {}
    for curve in curves:
        for step, value in zip(curve.steps, curve.values, strict=True):
            at.setdefault(step, []).append(value)
    steps = sorted(step for step, values in at.items() if 2 * len(values) >= len(curves))
    return steps, [median(at[step]) for step in steps]


def notes(found: Sequence[Panel]) -> list[str]:
    """Say which runs have no curve, and which ended early."""
    first = [(panel, next(iter(panel.quantities.values()))) for panel in found]
    fewer = [f"{p.title}: {len(curves)} of {p.expected}" for p, curves in first if len(curves) < p.expected]
    early = [f"{p.title}: seed {curve.seed} {curve.ended}" for p, curves in first for curve in curves if curve.ended]
    said = style.listed("Fewer curves than runs", fewer), style.listed("Ended early", early)
    return [note for note in said if note]


def _quantities(spec: Curves, group: Group) -> list[str]:
    if spec.show == "metric":
        return [group.column.metric]
    return [TRAINING] if spec.show == "training loss" else [TRAINING, VALIDATION]


def _of_run(spec: Curves, study: Study, group: Group, outcome: Outcome, names: Sequence[str]) -> dict[str, Curve]:
    """Read one record for all quantities."""
    body = study.body(outcome)
    if body is None:
        return {}
    evaluations = [entry for entry in body["evaluations"] if entry["split"] == choosing_split(group)]
    found = {}
    for name in names:
        entries: Sequence[Mapping[str, Any]] = body["training"] if name == TRAINING else evaluations
        line = read(outcome, entries, "loss" if name in (TRAINING, VALIDATION) else name, spec.against)
        if line is not None:
            found[name] = line
    return found


def loss_unit(group: Group) -> str:
    """Name the unit of a task's loss: cross-entropies are in nats, a regression's is a squared difference."""
    task = tasks.TASKS.get(group.column.task)
    kind = task.kind if task else (group.outcomes[0].run.data or {}).get("kind")
    return "squared error" if kind == "regression" else "nats"


def choosing_split(group: Group) -> str:
    """Name the split evaluated while training: the one held out for choosing, else the column's own."""
    return "validation" if group.outcomes[0].run.protocol.validation_share else group.column.split


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
