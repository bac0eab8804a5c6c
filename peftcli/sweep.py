"""Running what is missing of a recipe in this process, cohort by cohort; whatever is recorded already is left alone."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from peftcli import parameters, plan, records, sizing, tasks
from peftcli.environment import device
from peftcli.errors import UserError
from peftcli.execution import Place, run_cohort
from peftcli.progress import Progress
from peftcli.records import Record
from peftcli.runs import Run


@dataclass(frozen=True)
class Share:
    """What one process is to do: cohorts of a recipe, and the ids among their runs whose records are wanted."""

    cohorts: tuple[tuple[Run, ...], ...]
    wanted: frozenset[str]


def cohorts(runs: Sequence[Run], place: Place, size: int | None) -> list[tuple[Run, ...]]:
    """Group a recipe's runs: at most `size` together, else the size pinned for them, else one that is pinned now."""
    name = sizing.sweep_id(runs)
    if size is None:
        size = sizing.pinned(place.output, name) or sizing.pin(place.output, name, default_size())
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
    """Train a share's cohorts one after the other and give the records written. Raises UserError, Stopped."""
    written: list[Record] = []
    waiting = list(share.cohorts)
    while waiting:
        cohort = waiting.pop(0)
        wanted = [run for run in cohort if run.id in share.wanted]
        if not wanted:
            continue
        progress.begin()
        try:
            paths = run_cohort(cohort, wanted, place, progress.watch)
        except torch.OutOfMemoryError:
            waiting = [*_halves(cohort), *waiting]
            continue
        ended = [records.read(path) for path in paths]
        progress.end([record.status for record in ended])
        written += ended
    return written


def _halves(cohort: tuple[Run, ...]) -> list[tuple[Run, ...]]:
    """Cut a cohort that did not fit in two. Raises UserError where it is one run."""
    if len(cohort) == 1:
        raise UserError(f"out of memory with one run alone ({cohort[0].describe()}): give a smaller batch_size")
    half = (len(cohort) + 1) // 2
    print(f"out of memory with {len(cohort)} runs together: going on with {half}", file=sys.stderr)
    return [cohort[:half], cohort[half:]]


def _columns(place: Place, run: Run) -> int:
    task = tasks.TASKS.get(run.task)
    labels, kind = (len(task.labels), task.kind) if task else (2, "pair")
    return parameters.columns(place.model, run.strategy, run.options, kind, max(labels, 1), run.protocol.head)
