"""Curves of training: what records hold of losses and metrics, run by run, and the median over runs."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from peftcli.report.figures.study import Group
from peftcli.report.table.selection import Outcome
from peftcli.tasks import registry as tasks

WITH_PENALTY = "The loss has the strategy's penalty in it, as earlier versions recorded it"  # heads a note

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """One run's values of one quantity, at `steps` (updates or epochs), and how the run ended ("" when as planned).

    `with_penalty`: a training loss that holds the strategy's penalty too.
    """

    seed: int
    steps: tuple[float, ...]
    values: tuple[float, ...]
    ended: str = ""
    with_penalty: bool = False


def read(outcome: Outcome, entries: Sequence[Entry], key: str, against: str) -> Curve | None:
    """Make a curve of what a record holds under `key`, metrics times 100; None where there is nothing of the kind."""
    # The last loss of a run that diverged is not a number; the curve ends before it.
    finite = [entry for entry in entries if isinstance(entry.get(key), int | float) and math.isfinite(entry[key])]
    if not finite:
        return None
    scale = 1 if key == "loss" else 100
    trained = key == "loss" and "learning_rate" in finite[0]  # losses of training are means over stretches of it
    stretches = even(finite) if trained else [[(1, entry)] for entry in finite]
    values = [_mean(part, key) for part in stretches]
    ended = "" if outcome.state == "completed" else f"{outcome.state} after step {entries[-1]['step']}"
    with_penalty = trained and bool(outcome.run.options.get("penalty")) and "penalty" not in finite[0]
    steps = tuple(float(part[-1][1][against]) for part in stretches)
    return Curve(outcome.run.seed, steps, tuple(scale * value for value in values), ended, with_penalty)


def even(entries: Sequence[Entry]) -> list[list[tuple[int, Entry]]]:
    """Join losses to means over equal stretches: each part's entries, with the updates that each is the mean of.

    Earlier versions wrote them down on two grids that drift apart, one step after each other here and eighty there,
    which makes a curve saw-tooth.
    """
    steps = [0, *(int(entry["step"]) for entry in entries)]
    lengths = [after - before for before, after in itertools.pairwise(steps)]
    # Equal but for the rounding to whole steps; what is left over at the end says nothing of the others.
    whole = max(lengths[:-1], default=0) - 1
    parts: list[list[tuple[int, Entry]]] = [[]]
    for length, entry in zip(lengths, entries, strict=True):
        parts[-1].append((length, entry))
        if sum(n for n, _ in parts[-1]) >= whole:
            parts.append([])
    *parts, rest = parts
    if not rest:
        return parts
    if parts and 2 * sum(n for n, _ in rest) < whole:
        return [*parts[:-1], parts[-1] + rest]
    return [*parts, rest]


def _mean(part: Sequence[tuple[int, Entry]], key: str) -> float:
    """Average a part's values by how many updates each stands for; a single one stays as it is, to the last bit."""
    if len(part) == 1:
        return float(part[0][1][key])
    return math.fsum(n * entry[key] for n, entry in part) / sum(n for n, _ in part)


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
