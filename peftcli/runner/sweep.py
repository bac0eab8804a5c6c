"""Running what is missing of a recipe in this process, cohort by cohort; whatever is recorded already is left alone."""

import sys

import torch

from peftcli import files, records
from peftcli.errors import UserError
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment.run import Run
from peftcli.records import Record
from peftcli.runner.cohort import run_cohort
from peftcli.runner.progress import Progress
from peftcli.runner.work import SweepSettings, WorkUnit


def train(unit: WorkUnit, settings: SweepSettings, progress: Progress) -> list[Record]:
    """Train a unit's cohorts one after the other and give the records written. Raises UserError, Stopped.

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
        progress.begin(cohort)
        half = (len(cohort) + 1) // 2
        try:
            paths = run_cohort(cohort, wanted, settings, progress.watch)
        except UserError:
            raise
        except torch.OutOfMemoryError:
            _pin(unit, settings, half)
            waiting = [part for own in (cohort, *waiting) for part in _cut(own, half)]
        except Exception as error:
            print(f"{type(error).__name__} with {len(cohort)} runs together: going on with {half}", file=sys.stderr)
            waiting = [*_cut(cohort, half), *waiting]
        else:
            ended = [records.read(path) for path in paths]
            progress.end([record.status for record in ended])
            written += ended
    return written


def _pin(unit: WorkUnit, settings: SweepSettings, size: int) -> None:
    """Say that memory ran out, and keep the smaller size for when the sweep is started again."""
    print(f"out of memory: going on with {size} run{'s' * (size > 1)} together", file=sys.stderr)
    if unit.sweep is not None:
        sizing.pin(settings.output, unit.sweep, min(size, sizing.pinned(settings.output, unit.sweep) or size))


def _cut(cohort: tuple[Run, ...], size: int) -> list[tuple[Run, ...]]:
    return [cohort[at : at + size] for at in range(0, len(cohort), size)]
