"""Running what is missing of a recipe in this process, cohort by cohort; whatever is recorded already is left alone."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from peftcli import files, records
from peftcli.engine import parallel
from peftcli.engine.cohort import Cohort
from peftcli.engine.state import State
from peftcli.experiment import cohort_size, plan
from peftcli.experiment.cohort_size import Pin
from peftcli.experiment.run import Run
from peftcli.records import Record
from peftcli.runner import costs, grouping, tracking
from peftcli.runner.broken import Broken
from peftcli.runner.cohort import run_cohort
from peftcli.runner.progress import Progress
from peftcli.runner.snapshots import Snapshot
from peftcli.runner.tracking import Tracking
from peftcli.runner.work import SweepSettings, WorkUnit


@dataclass(frozen=True)
class Waiting:
    """A cohort that is still to be trained; `kept` holds how far its runs are, where they began in a larger one."""

    runs: tuple[Run, ...]
    kept: Snapshot | None = None

    def cut(self, size: int) -> list["Waiting"]:
        """The cohort in parts of at most `size` runs."""
        return [replace(self, runs=part) for part in plan.cut(self.runs, size)]


class Regroup(Exception):
    """A group of processes can train no further as it is; started again, it has `left` to do."""

    def __init__(self, left: WorkUnit) -> None:
        super().__init__("the group has to be started again")
        self.left = left


def train(unit: WorkUnit, settings: SweepSettings, progress: Progress) -> list[Record]:
    """Train a unit's cohorts one after the other; returns the records written. Raises UserError, Stopped, and in a group Regroup.

    A cohort that fails goes on in halves, so that one run at fault leaves its neighbours alone; where memory ran out,
    every cohort to come is cut to that size.
    """
    files.ready(settings.output)
    with tracking.following(settings) as tracked:
        return _train(unit, settings, progress, tracked)


def _train(unit: WorkUnit, settings: SweepSettings, progress: Progress, tracked: Tracking) -> list[Record]:
    def watch(cohort: Cohort, state: State) -> None:
        progress.watch(cohort, state)
        tracked.watch(cohort, state)

    written: list[Record] = []
    waiting = [Waiting(runs) for runs in grouping.settle(unit, settings).wanted_cohorts]
    while waiting:
        cohort = waiting.pop(0)
        wanted = unit.wanted_in(cohort.runs)
        if not wanted:
            continue
        progress.begin(cohort.runs)  # with all its runs: those that are recorded already train along and cost as much
        tracked.begin(wanted)
        try:
            paths = run_cohort(cohort.runs, wanted, settings, watch, cohort.kept)
        except Broken as broken:
            waiting = _smaller(cohort, broken, waiting, unit, settings)
        else:
            ended = [records.read(path) for path in paths]
            progress.end([record.status for record in ended])
            tracked.end(ended)
            written += ended
            continue
        # The error is gone by here, and with it the frames that held the larger cohort's tensors.
        costs.free_memory()
        if parallel.size() > 1:  # the other processes wait for a sum that does not come
            raise Regroup(unit.part(tuple(rest.runs for rest in waiting)))
    return written


def _smaller(
    cohort: Waiting, broken: Broken, waiting: Sequence[Waiting], unit: WorkUnit, settings: SweepSettings
) -> list[Waiting]:
    """What is to be trained after a cohort broke, in halves; says so, and pins the size where memory ran out."""
    count = len(cohort.runs)
    if count == 1:  # only in a group: it has left a failed record
        return list(waiting)
    half = (count + 1) // 2
    together = f"{half} run{'s' * (half > 1)} together"
    cohort = replace(cohort, kept=broken.kept)
    if not broken.out_of_memory:
        what = f"{broken} with {count} runs together {broken.where}"
        print(f"{what}: going on {broken.onward}with {together}", file=sys.stderr, flush=True)
        return [*cohort.cut(half), *waiting]
    print(f"out of memory {broken.where}: going on {broken.onward}with {together}", file=sys.stderr, flush=True)
    if unit.sweep is not None:
        # Kept for when the sweep is started again; another process may have pinned a smaller size meanwhile.
        pinned = cohort_size.pinned(settings.output, unit.sweep)
        pinned = pinned or Pin(half)
        cohort_size.pin(settings.output, unit.sweep, replace(pinned, cohort=min(half, pinned.cohort)))
    return [part for larger in (cohort, *waiting) for part in larger.cut(half)]
