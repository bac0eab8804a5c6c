"""What the runs of a recipe took: all of them together, and one run of each strategy on average. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peftcli.experiment.recipe import Recipe
from peftcli.report.table import layout
from peftcli.report.table.selection import Outcome


@dataclass(frozen=True)
class Cost:
    """What the recorded runs took together: hours of computing, tokens of training, the devices they ran on.

    A cohort's time is shared equally among its runs. `peak_memory_bytes` is the most any process held on a GPU, or where
    none was used in its memory. `ended` is when the last of them had ended, in seconds since 1970 began (UTC); None where
    no record says it.
    """

    hours: float
    tokens: int
    peak_memory_bytes: int | None
    devices: tuple[str, ...]
    ended: int | None


@dataclass(frozen=True)
class RunCost:
    """What one run of a strategy took: means over those of its `runs` whose records say it, None where none does.

    `task` is "" for the runs of all tasks, `device` "" where no record says it. `seconds` and `tokens` are a run's share
    of its cohort's, which it had `cohort` - 1 others in; `peak_memory_bytes` is the whole cohort's, on a processor its
    process's; `delta_bytes` are the run's.
    """

    strategy: str
    task: str
    device: str
    runs: int
    cohort: float | None
    seconds: float | None
    tokens: float | None
    peak_memory_bytes: float | None
    delta_bytes: float | None


def total(outcomes: Sequence[Outcome]) -> Cost:
    """Add up what runs took, from their records."""
    spent = [outcome for outcome in outcomes if outcome.cost]
    devices = dict.fromkeys(str(o.environment["device"]) for o in outcomes if o.environment.get("device"))
    # What a process held beside a GPU is no GPU's memory; older records from a processor do not say it.
    on_gpu = any(device != "cpu" for device in devices)
    peaks = [
        int(outcome.cost["peak_memory_bytes"])
        for outcome in spent
        if outcome.cost.get("peak_memory_bytes") and (outcome.environment.get("device") != "cpu" or not on_gpu)
    ]
    return Cost(
        hours=sum(of_run(outcome.cost, "seconds") or 0.0 for outcome in spent) / 3600,
        tokens=round(sum(of_run(outcome.cost, "tokens") or 0.0 for outcome in spent)),
        peak_memory_bytes=max(peaks, default=None),
        devices=tuple(devices),
        ended=max((int(outcome.cost["ended"]) for outcome in spent if outcome.cost.get("ended")), default=None),
    )


def by_strategy(recipe: Recipe, outcomes: Sequence[Outcome]) -> tuple[RunCost, ...]:
    """What a run of each strategy took, over all tasks, a row for each device; () where no record says any of it."""
    return _rows(recipe, [(outcome, "") for outcome in outcomes])


def by_task(recipe: Recipe, outcomes: Sequence[Outcome]) -> tuple[RunCost, ...]:
    """What a run of each strategy took on each task, a row for each device; () where no record says any of it."""
    return _rows(recipe, [(outcome, _task_label(recipe, outcome)) for outcome in outcomes])


def _rows(recipe: Recipe, outcomes: Sequence[tuple[Outcome, str]]) -> tuple[RunCost, ...]:
    """Take means over the runs that left a cost; a strategy without any keeps a row, so that none is overlooked."""
    if not any(outcome.cost for outcome, _ in outcomes):
        return ()
    groups: dict[tuple[str, str], dict[str, list[Outcome]]] = {}
    for outcome, task in outcomes:
        by_device = groups.setdefault((layout.strategy_label(recipe, outcome), task), {})
        if outcome.cost:
            # Seconds and memory of one device say nothing of another's.
            by_device.setdefault(str(outcome.environment.get("device") or ""), []).append(outcome)
    return tuple(
        _row(strategy, task, device, [outcome.cost for outcome in runs])
        for (strategy, task), by_device in groups.items()
        for device, runs in (by_device or {"": []}).items()
    )


def _row(strategy: str, task: str, device: str, costs: Sequence[Mapping[str, Any]]) -> RunCost:
    return RunCost(
        strategy=strategy,
        task=task,
        device=device,
        runs=len(costs),
        cohort=_mean(_size(cost) for cost in costs),
        seconds=_mean(of_run(cost, "seconds") for cost in costs),
        tokens=_mean(of_run(cost, "tokens") for cost in costs),
        peak_memory_bytes=_mean(cost.get("peak_memory_bytes") for cost in costs),
        delta_bytes=_mean(cost.get("delta_bytes") for cost in costs),
    )


def of_run(cost: Mapping[str, Any], key: str) -> float | None:
    """Return a run's share of what its whole cohort took, so that a cohort with all its records counts once."""
    value = cost.get(key)
    return None if value is None else float(value) / _size(cost)


def _size(cost: Mapping[str, Any]) -> int:
    return max(int(cost.get("cohort") or 1), 1)


def _mean(values: Iterable[float | None]) -> float | None:
    said = [value for value in values if value is not None]
    return sum(said) / len(said) if said else None


def _task_label(recipe: Recipe, outcome: Outcome) -> str:
    name, entry = recipe.tasks[outcome.planned.task]
    return entry.label or name
