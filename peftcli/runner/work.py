"""What a sweep works with: its settings, the cohorts of one process, and which of their runs have no record yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peftcli import records
from peftcli.experiment import plan
from peftcli.experiment.run import Run


@dataclass(frozen=True)
class SweepSettings:
    """Where runs read from and write to; nothing of it is part of a run. `model` is the id, alias or path as it was typed.

    `own_data` has the file or folder of each task that a recipe describes; `track` names the trackers, to whom `recipe` is
    the name of the whole.
    """

    model: str
    output: Path  # the results folder: records in <task>/<strategy>-<id>.json
    data_dir: Path | None = None
    allow_other_data: bool = False
    keep_predictions: bool = True
    save_delta: bool = False
    checkpoint_seconds: float = 600.0  # of training between two checkpoints of a cohort
    own_data: Mapping[str, Path] = field(default_factory=dict)
    track: tuple[str, ...] = ()
    recipe: str = "train"  # its name; what `train` trains is of none
    device: str | None = None  # cpu or cuda; None: the GPU where there is one
    gpu_memory: int | None = None  # bytes of the GPUs that will train, where this machine has none

    def source(self, run: Run) -> Path | None:
        """Where a run's task is read from: its own file or folder where a recipe describes it, else the data folder."""
        return self.data_dir if run.data is None else self.own_data.get(run.task)

    def names(self, run: Run) -> dict[str, str]:
        """What a run's model, tokenizer and data are called here, for whoever is to tell them from others."""
        source = self.source(run)
        data = f"task {run.task}" if source is None else f"task {run.task} in {source}"
        return {"model": self.model, "tokenizer": self.model, "data": data}


@dataclass(frozen=True)
class WorkUnit:
    """What one process is to do: cohorts of a recipe, and the ids among their runs whose records are wanted.

    `sweep` names the sweep whose pinned cohort size is cut when memory runs out; None where the size was given.
    """

    cohorts: tuple[tuple[Run, ...], ...]
    wanted: frozenset[str]
    sweep: str | None = None

    def wanted_in(self, cohort: Sequence[Run]) -> list[Run]:
        """The runs of a cohort whose records are wanted; the others train along, since a cohort is never cut for them."""
        return [run for run in cohort if run.id in self.wanted]

    @property
    def runs(self) -> list[Run]:
        """All runs whose records are wanted, in the order of their cohorts."""
        return [run for cohort in self.cohorts for run in self.wanted_in(cohort)]

    @property
    def wanted_cohorts(self) -> list[tuple[Run, ...]]:
        """The cohorts with at least one run whose record is wanted."""
        return [cohort for cohort in self.cohorts if self.wanted_in(cohort)]

    def cut(self, size: int, cohorts: Sequence[tuple[Run, ...]] | None = None) -> "WorkUnit":
        """The same unit with its cohorts (or only these of them) in parts of at most `size` runs."""
        larger = self.cohorts if cohorts is None else cohorts
        return self.part(tuple(part for runs in larger for part in plan.cut(runs, size)))

    def part(self, cohorts: tuple[tuple[Run, ...], ...]) -> "WorkUnit":
        """The same unit cut down to some of its cohorts."""
        return WorkUnit(cohorts, self.wanted & {run.id for cohort in cohorts for run in cohort}, self.sweep)


def missing(runs: Sequence[Run], settings: SweepSettings, retry_failed: bool) -> frozenset[str]:
    """The ids of runs that have no record yet, or a failed one that is to be tried again.

    Raises UserError for a damaged record, and for one of another model, tokenizer or data than what is here now.
    """
    from peftcli.runner import comparing  # which knows the settings of this module

    recorded = {run.id: record for run in runs if (record := records.find(settings.output, run)) is not None}
    comparing.check([(run, recorded[run.id]) for run in runs if run.id in recorded], settings)
    again = {name for name, record in recorded.items() if retry_failed and record.status == "failed"}
    return frozenset(run.id for run in runs if run.id not in recorded or run.id in again)
