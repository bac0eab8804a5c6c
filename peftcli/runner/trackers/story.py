"""What trackers are told of a run: its names, its settings and its numbers, in words that every tracker shows alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from peftcli import records
from peftcli.experiment.run import Run
from peftcli.records.body import Body

Point = tuple[int, dict[str, float]]  # a step, and the numbers after it, by name
FOLDER = ".tensorboard"
HIDDEN = ("step", "epoch", "split", "collapsed")  # of an evaluation's entry: no curves
SHORT = 8  # characters of an id that tell runs apart in a list


@dataclass(frozen=True)
class Story:
    """A run as trackers know it: `id` is its record's, `name` one line for a person, `recipe` and `group` where it belongs.

    `settings` are scalars by name; `folder` is where its files lie that are kept beside the records.
    """

    id: str
    name: str
    recipe: str
    group: str
    settings: Mapping[str, str | float | int | bool]
    folder: str


@dataclass(frozen=True)
class End:
    """How a run ended: its record's status, the updates it took, and what is no curve: its cost and parameters."""

    status: str
    step: int
    numbers: Mapping[str, float]


class Tracked(Protocol):
    """One tracked run that is open; `anew`: each process writes it from the run's start. Errors are the library's own."""

    anew: bool

    def write(self, points: Sequence[Point]) -> None:
        """Add numbers, the order of steps not being theirs: a test split may be evaluated at an earlier, best step."""

    def end(self, end: End | None) -> None:
        """Close it: as its record says, or where there is none (the training stopped) to be gone on with."""


def story(run: Run, recipe: str, output: Path) -> Story:
    """Return what trackers are told of a run of a recipe."""
    plain = run.model_dump(exclude={"options", "protocol"}, exclude_none=True)
    settings = dict(_flat({"record": run.id, "recipe": recipe, **plain, "options": run.options}))
    settings |= dict(_flat({"training": run.protocol.model_dump()}))
    # Runs of one description may differ in a training setting: some of the id tells them apart.
    name = f"{run.describe()} {run.id[:SHORT]}"
    return Story(run.id, name, recipe, run.variant, settings, str(folder(output, run)))


def folder(output: Path, run: Run) -> Path:
    """Return where a run's curves for TensorBoard lie: output/.tensorboard/<task>/<strategy>-lr<rate>-seed<seed>-<id>."""
    record = records.path(output / FOLDER, run)
    strategy = record.stem.removesuffix(f"-{run.id}")
    return record.with_name(f"{strategy}-lr{run.learning_rate:g}-seed{run.seed}-{run.id}")


def training_point(entry: Mapping[str, Any]) -> Point:
    """Return the numbers of an entry of a record's `training`."""
    return entry["step"], _numbers("train", entry)


def evaluation_point(entry: Mapping[str, Any]) -> Point:
    """Return the numbers of an entry of a record's `evaluations`."""
    return entry["step"], _numbers(entry["split"], entry)


def end(body: Body) -> End:
    """Return how a record says that its run ended. Of a cohort's cost a run has its share, its peak of memory aside."""
    cost: dict[str, Any] = {**(body["cost"] or {})}
    size = max(int(cost.get("cohort") or 1), 1)
    numbers: dict[str, Any] = {f"parameters/{name}": value for name, value in (body["parameters"] or {}).items()}
    for name in ("seconds", "tokens"):
        if cost.get(name) is not None:
            numbers[f"cost/{name}"] = float(cost[name]) / size
    for name in ("steps", "cohort", "peak_memory_bytes", "delta_bytes"):
        numbers[f"cost/{name}"] = cost.get(name)
    said = {name: float(value) for name, value in numbers.items() if value is not None}
    return End(body["status"], int(cost.get("steps") or 0), said)


def _numbers(split: str, entry: Mapping[str, Any]) -> dict[str, float]:
    """An entry's numbers by name; what is not finite is None in a record, and no point of a curve."""
    numbers = {name: value for name, value in entry.items() if name not in HIDDEN and value is not None}
    return {f"{split}/{name}": float(value) for name, value in numbers.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | float | int | bool]]:
    """Settings as scalars, those inside others by a dotted name; a list or null as JSON writes it."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str | float | int) else json.dumps(value)
