"""Assignments: what a process or a job of a sweep is to do, as a JSON file, so that it needs nothing else. No torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment.run import Run

if TYPE_CHECKING:
    from peftcli.runner.work import SweepSettings, WorkUnit


@dataclass(frozen=True)
class Assignment:
    """A unit of a sweep, where it reads and writes, and by how many processes it is trained, `each` of them a cohort."""

    unit: WorkUnit
    settings: SweepSettings
    retry_failed: bool = False
    processes: int = 1
    each: int = 1


def encode(assignment: Assignment) -> str:
    """Write an assignment as JSON; paths become absolute."""
    settings, unit = assignment.settings, assignment.unit
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
            "track": settings.track,
        },
        "retry_failed": assignment.retry_failed,
        "processes": assignment.processes,
        "each": assignment.each,
    }
    return json.dumps(document, indent=1)


def decode(file: Path) -> Assignment:
    """Read an assignment. Raises UserError for a file that is not one."""
    from peftcli.runner.work import SweepSettings, WorkUnit

    try:
        document: dict[str, Any] = json.loads(files.read_text(file, "assignment"))
        settings = document["place"]
        where = {
            **settings,
            "output": Path(settings["output"]),
            "data_dir": settings["data_dir"] and Path(settings["data_dir"]),
        }
        where["own_data"] = {task: Path(source) for task, source in settings["own_data"].items()}
        cohorts = tuple(tuple(Run.model_validate(run) for run in cohort) for cohort in document["cohorts"])
        unit = WorkUnit(cohorts, frozenset(document["wanted"]), document["sweep"])
        return Assignment(
            unit, SweepSettings(**where), document["retry_failed"], document["processes"], document["each"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not an assignment ({type(error).__name__})") from None


def absolute(model: str) -> str:
    """Give a model's folder as an absolute path, anything else as it is."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else model
