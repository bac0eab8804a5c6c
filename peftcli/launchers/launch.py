"""From `--launcher` and its options to the function that trains a unit: here, by processes, or by a cluster's jobs. No torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError, unknown

if TYPE_CHECKING:
    from peftcli.experiment.run import Run
    from peftcli.runner.display import Status
    from peftcli.runner.work import SweepSettings, WorkUnit

    # Takes a unit, its settings and whether failed runs are tried again; returns a line for everything that went
    # wrong, or None where nobody waited for the end.
    Launch = Callable[[WorkUnit, SweepSettings, bool], list[str] | None]


@dataclass(frozen=True)
class LauncherOptions:
    """The options of all launchers, each a field of its own name (`--max-jobs` is `max_jobs`); None or empty if not set."""

    processes: int | None = None
    processes_per_run: int | None = None
    partition: str | None = None
    time: str | None = None  # a job's walltime, as SLURM writes it
    gpus: int | None = None
    max_jobs: int | None = None
    account: str | None = None
    slurm: Sequence[str] = ()  # further options of sbatch, key=value
    detach: bool = False
    gpu_memory: int | None = None  # GB of each of the GPUs, which this machine need not have


def choose(launcher: str, options: LauncherOptions) -> Launch:
    """The launcher of that name. Raises UserError for options that it does not take."""
    if launcher not in LAUNCHERS:
        raise unknown("launcher", launcher, LAUNCHERS)
    # What an option does nothing for is refused, rather than ignored.
    for name, value in vars(options).items():
        if value and name not in LAUNCHERS[launcher].takes:
            option = f"--{name.replace('_', '-')}"
            wanted = " or ".join(other for other, row in LAUNCHERS.items() if name in row.takes)
            raise UserError(f"{option} does nothing with --launcher {launcher}: it is for --launcher {wanted}")
    return partial(LAUNCHERS[launcher].start, options)


def train_here(unit: WorkUnit, settings: SweepSettings) -> None:
    """Train a unit in this process, and show it while it trains. Raises UserError, Stopped."""
    from peftcli.engine import device
    from peftcli.launchers import assignments
    from peftcli.runner import progress, sweep
    from peftcli.runner.display import LIVE_SECONDS, Board, screen

    device.choose(settings.device)  # one that cannot be used is refused before the data are read

    with Board() as board:

        def tell(status: Status) -> None:
            board.show(lambda: screen({"1": status}))

        cost = partial(assignments.cost, settings.model)
        sweep.train(unit, settings, progress.start(unit, cost, tell, LIVE_SECONDS))


def warm(runs: Iterable[Run], settings: SweepSettings) -> None:
    """Read, check and tokenise what runs need, and fetch their model. Raises UserError, as the runs would.

    Processes that fan out afterwards find the caches filled, instead of all downloading and tokenising the same.
    """
    import torch

    from peftcli.data.loading import prepare
    from peftcli.engine import backbone
    from peftcli.models import catalogue

    distinct: dict[tuple[Any, ...], Run] = {}  # by what tokenised data depend on: one run fills the cache for all
    for run in runs:
        distinct.setdefault((run.task, run.protocol.max_length, run.protocol.overlong), run)
    for run in distinct.values():
        prepare(run, settings.model, settings.source(run), settings.allow_other_data)
    if distinct and not catalogue.is_local(settings.model):
        precision = backbone.kept_in(settings.model, torch.bfloat16)
        backbone.load(settings.model, False, precision, torch.device("cpu"))
        backbone.load.cache_clear()  # the file is what counts; the processes have memories of their own


def _here(options: LauncherOptions, unit: WorkUnit, settings: SweepSettings, retry_failed: bool) -> list[str]:
    train_here(unit, settings)
    return []


def _by_processes(options: LauncherOptions, unit: WorkUnit, settings: SweepSettings, retry_failed: bool) -> list[str]:
    from peftcli.launchers import accelerate

    per_cohort = options.processes_per_run or 1
    count = accelerate.check(options.processes, per_cohort, settings.device)
    warm(unit.runs, settings)
    return accelerate.run(unit, settings, count, per_cohort)


def _by_slurm(
    options: LauncherOptions, unit: WorkUnit, settings: SweepSettings, retry_failed: bool
) -> list[str] | None:
    from peftcli.launchers import assignments, slurm
    from peftcli.launchers.assignments import Assignment
    from peftcli.launchers.slurm_watch import Tally

    request = slurm.request(options.time or "60", options.partition, options.gpus, options.account, options.slurm)
    slurm.check()
    per_cohort = options.processes_per_run or 1
    processes = options.processes or max(request.gpus or 1, per_cohort)
    if processes % per_cohort:
        raise UserError(f"--processes {processes} is no multiple of --processes-per-run {per_cohort}")
    if per_cohort > 1 and request.gpus and processes > request.gpus:
        raise UserError(
            f"--processes-per-run {per_cohort} with {processes} processes: each needs a GPU, and a job has {request.gpus}; "
            f"give --gpus {processes}"
        )
    runs = unit.runs
    if not runs:
        return []
    warm(runs, settings)
    tally = Tally(runs, settings.output)  # before any job can have written a record
    assignment = Assignment(unit, settings, retry_failed, processes, per_cohort)
    submission = slurm.submit(assignment, request, options.max_jobs or slurm.JOBS)
    print(
        f"array {submission.job}: {len(submission.cohorts)} jobs submitted, messages in {submission.folder}",
        file=sys.stderr,
    )
    if options.detach:
        return None
    slurm.wait(submission, tally, partial(assignments.cost, settings.model))
    return slurm.unfinished(submission, tally)


@dataclass(frozen=True)
class Launcher:
    """A launcher: the function that trains a unit, and the fields of `LauncherOptions` that it takes."""

    start: Callable[[LauncherOptions, WorkUnit, SweepSettings, bool], list[str] | None]
    takes: tuple[str, ...] = ()


_PROCESSES = ("processes", "processes_per_run")
_JOBS = ("partition", "time", "gpus", "max_jobs", "account", "slurm", "detach", "gpu_memory")
LAUNCHERS = {
    "local": Launcher(_here),
    "accelerate": Launcher(_by_processes, _PROCESSES),
    "slurm": Launcher(_by_slurm, (*_PROCESSES, *_JOBS)),
}
