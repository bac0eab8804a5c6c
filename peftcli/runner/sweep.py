"""Running what is missing of a recipe in this process, cohort by cohort; whatever is recorded already is left alone."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from peftcli import files
from peftcli.engine.backbone import fetch_config
from peftcli.errors import UserError
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import parameters, plan
from peftcli.experiment.run import Run
from peftcli.records import record as records
from peftcli.records.record import Record
from peftcli.runner.cohort import Place, run_cohort
from peftcli.runner.environment import device
from peftcli.runner.progress import Progress
from peftcli.tasks import own_data


@dataclass(frozen=True)
class Share:
    """What one process is to do: cohorts of a recipe, and the ids among their runs whose records are wanted.

    `sweep` names the sweep whose pinned cohort size is cut when memory runs out; None where the size was given.
    """

    cohorts: tuple[tuple[Run, ...], ...]
    wanted: frozenset[str]
    sweep: str | None = None

    def part(self, cohorts: tuple[tuple[Run, ...], ...]) -> "Share":
        """Give the share with these of its cohorts alone."""
        own = self.wanted & {run.id for cohort in cohorts for run in cohort}
        return Share(cohorts, own, self.sweep)


def cohorts(runs: Sequence[Run], place: Place, size: int | None) -> list[tuple[Run, ...]]:
    """Group a recipe's runs: at most `size` together, else the size pinned for them, else one that is pinned now."""
    name = sizing.sweep_id(runs)
    if size is None:
        size = sizing.pinned(place.output, name) or sizing.pin(place.output, name, default_size())
    fetch_config(place.model)
    groups = plan.cohorts(runs, len(runs))
    return [cohort for group in groups for cohort in plan.cohorts(group, sizing.limit(size, _columns(place, group[0])))]


def default_size() -> int:
    """The cohort size a sweep starts with on this machine."""
    return sizing.ON_GPU if device().type == "cuda" else sizing.ON_PROCESSOR


def missing(runs: Sequence[Run], place: Place, retry_failed: bool) -> frozenset[str]:
    """Give the ids of runs that have no record yet, or a failed one that is to be tried again. Raises UserError."""
    found = {run.id: records.find(place.output, run) for run in runs}
    return frozenset(
        run.id for run in runs if (record := found[run.id]) is None or (retry_failed and record.status == "failed")
    )


def train(share: Share, place: Place, progress: Progress) -> list[Record]:
    """Train a share's cohorts one after the other and give the records written. Raises UserError, Stopped.

    A cohort that fails is tried again in halves, so that one run at fault leaves its neighbours alone; where memory
    ran out, every cohort to come is cut to that size.
    """
    files.ready(place.output)
    written: list[Record] = []
    waiting = list(share.cohorts)
    while waiting:
        cohort = waiting.pop(0)
        wanted = [run for run in cohort if run.id in share.wanted]
        if not wanted:
            continue
        progress.begin(cohort)
        half = (len(cohort) + 1) // 2
        try:
            paths = run_cohort(cohort, wanted, place, progress.watch)
        except UserError:
            raise
        except torch.OutOfMemoryError:
            _pin(share, place, half)
            waiting = [part for own in (cohort, *waiting) for part in _cut(own, half)]
        except Exception as error:
            print(f"{type(error).__name__} with {len(cohort)} runs together: going on with {half}", file=sys.stderr)
            waiting = [*_cut(cohort, half), *waiting]
        else:
            ended = [records.read(path) for path in paths]
            progress.end([record.status for record in ended])
            written += ended
    return written


def _pin(share: Share, place: Place, size: int) -> None:
    """Say that memory ran out, and keep the smaller size for when the sweep is started again."""
    print(f"out of memory: going on with {size} run{'s' * (size > 1)} together", file=sys.stderr)
    if share.sweep is not None:
        sizing.pin(place.output, share.sweep, min(size, sizing.pinned(place.output, share.sweep) or size))


def _cut(cohort: tuple[Run, ...], size: int) -> list[tuple[Run, ...]]:
    return [cohort[at : at + size] for at in range(0, len(cohort), size)]


def _columns(place: Place, run: Run) -> int:
    task = own_data.of(run)
    labels = max(len(task.labels), 1)
    return parameters.columns(place.model, run.strategy, run.options, task.kind, labels, run.protocol.head)
