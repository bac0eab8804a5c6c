"""Running what is missing of a recipe in this process, cohort by cohort; whatever is recorded already is left alone."""

import sys

import torch

from peftcli import files, records
from peftcli.errors import UserError
from peftcli.experiment import cohort_size
from peftcli.experiment.run import Run
from peftcli.records import Record
from peftcli.runner.cohort import run_cohort
from peftcli.runner.progress import Progress
from peftcli.runner.work import SweepSettings, WorkUnit


def train(unit: WorkUnit, settings: SweepSettings, progress: Progress) -> list[Record]:
    """Train a unit's cohorts one after the other; returns the records written. Raises UserError, Stopped.

    A cohort that fails is tried again in halves, so that one run at fault leaves its neighbours alone; where memory
    ran out, every cohort to come is cut to that size.
    """
    files.ready(settings.output)
    written: list[Record] = []
    waiting = list(unit.cohorts)
    while waiting:
        cohort = waiting.pop(0)
        wanted = unit.wanted_in(cohort)
        if not wanted:
            continue
        progress.begin(cohort)  # with all its runs: those that are recorded already train along and cost as much
        half = (len(cohort) + 1) // 2
        try:
            paths = run_cohort(cohort, wanted, settings, progress.watch)
        except UserError:
            raise
        except torch.OutOfMemoryError:
            print(f"out of memory: going on with {half} run{'s' * (half > 1)} together", file=sys.stderr)
            if unit.sweep is not None:
                # Kept for when the sweep is started again; another process may have pinned a smaller size meanwhile.
                pinned = cohort_size.pinned(settings.output, unit.sweep)
                cohort_size.pin(settings.output, unit.sweep, min(half, pinned or half))
            waiting = [part for large in (cohort, *waiting) for part in _cut(large, half)]
        except Exception as error:
            # A run alone does not come here: it leaves a failed record (`run_cohort`), so the halving ends.
            print(f"{type(error).__name__} with {len(cohort)} runs together: going on with {half}", file=sys.stderr)
            waiting = [*_cut(cohort, half), *waiting]
        else:
            ended = [records.read(path) for path in paths]
            progress.end([record.status for record in ended])
            written += ended
    return written


def _cut(cohort: tuple[Run, ...], size: int) -> list[tuple[Run, ...]]:
    return [cohort[start : start + size] for start in range(0, len(cohort), size)]
