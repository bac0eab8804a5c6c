"""What a sweep works on and with: the settings of a sweep, the cohorts of one process, and which of their runs are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peftcli import records
from peftcli.engine.device import default_device
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import parameters, plan
from peftcli.experiment.run import Run, task_of
from peftcli.models.files import fetch_config


@dataclass(frozen=True)
class SweepSettings:
    """Where runs read from and write to; nothing of it is part of a run. `model` is the id, alias or path as given.

    `own_data` has the file or folder of each task that a recipe describes; `track` names who else gets the curves.
    """

    model: str
    output: Path
    data_dir: Path | None = None
    allow_other_data: bool = False
    keep_predictions: bool = True
    save_delta: bool = False
    checkpoint_seconds: float = 600.0
    own_data: Mapping[str, Path] = field(default_factory=dict)
    track: str | None = None

    def source(self, run: Run) -> Path | None:
        """Where a run's task is read from: its own file or folder where a recipe describes it, else the data folder."""
        return self.data_dir if run.data is None else self.own_data.get(run.task)


@dataclass(frozen=True)
class WorkUnit:
    """What one process is to do: cohorts of a recipe, and the ids among their runs whose records are wanted.

    `sweep` names the sweep whose pinned cohort size is cut when memory runs out; None where the size was given.
    """

    cohorts: tuple[tuple[Run, ...], ...]
    wanted: frozenset[str]
    sweep: str | None = None

    def part(self, cohorts: tuple[tuple[Run, ...], ...]) -> "WorkUnit":
        """Give the share with these of its cohorts alone."""
        own = self.wanted & {run.id for cohort in cohorts for run in cohort}
        return WorkUnit(cohorts, own, self.sweep)


def cohorts(runs: Sequence[Run], place: SweepSettings, size: int | None) -> list[tuple[Run, ...]]:
    """Group a recipe's runs: at most `size` together, else the size pinned for them, else one that is pinned now."""
    name = sizing.sweep_id(runs)
    if size is None:
        size = sizing.pinned(place.output, name) or sizing.pin(place.output, name, default_size())
    fetch_config(place.model)
    groups = plan.cohorts(runs, len(runs))
    return [cohort for group in groups for cohort in plan.cohorts(group, sizing.limit(size, _columns(place, group[0])))]


def default_size() -> int:
    """The cohort size a sweep starts with on this machine."""
    return sizing.ON_GPU if default_device().type == "cuda" else sizing.ON_PROCESSOR


def missing(runs: Sequence[Run], place: SweepSettings, retry_failed: bool) -> frozenset[str]:
    """Give the ids of runs that have no record yet, or a failed one that is to be tried again. Raises UserError."""
    found = {run.id: records.find(place.output, run) for run in runs}
    return frozenset(
        run.id for run in runs if (record := found[run.id]) is None or (retry_failed and record.status == "failed")
    )


def _columns(place: SweepSettings, run: Run) -> int:
    task = task_of(run)
    labels = max(len(task.labels), 1)
    return parameters.columns(place.model, run.strategy, run.options, task.kind, labels, run.protocol.head)
