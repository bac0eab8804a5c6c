"""What each process or job of a sweep is to do: its cohorts, divided by expected cost, in a JSON file of its own. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.run import Run, task_of
from peftcli.experiment.schedule import schedule, training_examples

if TYPE_CHECKING:
    from peftcli.runner.work import SweepSettings, WorkUnit

Cohort = tuple[Run, ...]
UNKNOWN = 10_000  # examples to train on, where a task's row does not say


@dataclass(frozen=True)
class Assignment:
    """A unit of work with the settings of its sweep, and how many processes train it, `per_cohort` of them together."""

    unit: WorkUnit
    settings: SweepSettings
    retry_failed: bool = False
    processes: int = 1
    per_cohort: int = 1


def encode(assignment: Assignment) -> str:
    """Write an assignment as JSON; paths become absolute."""
    settings, unit = assignment.settings, assignment.unit
    # A job in a cluster's queue may be started by a later version than the one that wrote its file: keys stay.
    document = {
        "cohorts": [[run.model_dump() for run in cohort] for cohort in unit.cohorts],
        "wanted": sorted(unit.wanted),
        "sweep": unit.sweep,
        "place": {
            "model": absolute(settings.model),
            "output": str(settings.output.resolve()),
            "data_dir": None if settings.data_dir is None else str(settings.data_dir.resolve()),
            "allow_other_data": settings.allow_other_data,
            "keep_predictions": settings.keep_predictions,
            "save_delta": settings.save_delta,
            "checkpoint_seconds": settings.checkpoint_seconds,
            "own_data": {task: str(source.resolve()) for task, source in settings.own_data.items()},
            "track": list(settings.track),
            "recipe": settings.recipe,
            "device": settings.device,
        },
        "retry_failed": assignment.retry_failed,
        "processes": assignment.processes,
        "each": assignment.per_cohort,
    }
    return json.dumps(document, indent=1)


def decode(file: Path) -> Assignment:
    """Read an assignment. Raises UserError for a file that is not one."""
    from peftcli.runner.work import SweepSettings, WorkUnit

    try:
        document: dict[str, Any] = json.loads(files.read_text(file, "assignment"))
        # Every key but the paths is a field of SweepSettings as it is; an unknown key is a TypeError below.
        fields = dict(document["place"])
        fields["output"] = Path(fields["output"])
        fields["data_dir"] = fields["data_dir"] and Path(fields["data_dir"])
        # One name or none, where an earlier version wrote it.
        fields["track"] = (fields["track"],) if isinstance(fields["track"], str) else tuple(fields["track"] or ())
        fields["own_data"] = {task: Path(source) for task, source in fields["own_data"].items()}
        cohorts = tuple(tuple(Run.model_validate(run) for run in cohort) for cohort in document["cohorts"])
        unit = WorkUnit(cohorts, frozenset(document["wanted"]), document["sweep"])
        settings = SweepSettings(**fields)
        return Assignment(unit, settings, document["retry_failed"], document["processes"], document["each"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not an assignment ({type(error).__name__})") from None


def absolute(model: str) -> str:
    """A model's folder as an absolute path, since a job starts elsewhere; an alias or hub id unchanged."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else model


def divide(cohorts: Sequence[Cohort], count: int, cost: Callable[[Cohort], float]) -> list[tuple[Cohort, ...]]:
    """Divide cohorts into at most `count` parts: the costliest cohort first, each to the part that has least so far.

    Cohorts are never cut: which runs train together does not depend on how many processes there are. Cohorts of
    equal cost keep their order. The largest part is within a third of the best possible (Graham, 1969).
    """
    parts: list[list[Cohort]] = [[] for _ in range(min(count, len(cohorts)))]
    loads = [0.0] * len(parts)
    for cohort in sorted(cohorts, key=cost, reverse=True):
        least = loads.index(min(loads))
        parts[least].append(cohort)
        loads[least] += cost(cohort)
    return [tuple(part) for part in parts]


def cost(model: str, cohort: Cohort) -> float:
    """Estimate a cohort's work, in tokens through the model forward: its training steps and its evaluations.

    Every sequence counts with the maximum length: what matters is how the cohorts of one recipe compare.
    """
    return sum(_run_cost(model, run) for run in cohort)


def _run_cost(model: str, run: Run) -> float:
    task, training = task_of(run), run.protocol
    examples = training_examples(task.sizes.get("train", UNKNOWN), training)
    timing = schedule(training, examples)
    counts = parameters.run_count(model, run)
    # A step costs one pass forward; where anything moves one back to it; and up to one for the weights' own gradients.
    passes = 2.0 + min(1.0, counts.trainable / counts.total) if counts.trainable else 1.0
    trained = timing.total * training.batch_size * passes
    evaluated = len(timing.evaluations) * sum(task.sizes.get(split, 0) for split in task.evaluation)
    evaluated += examples if training.evaluate_train else 0
    return training.max_length * (trained + evaluated)
