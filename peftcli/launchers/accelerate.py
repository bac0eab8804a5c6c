"""A sweep by several processes of this machine: each trains a part of the cohorts, or several of them one cohort together.

The processes are accelerate's (`peftcli.engine.parallel` joins its groups), started one by one, so that one that dies takes
nothing with it but its own group; they meet in a file, since a port can be taken by somebody else.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from peftcli import files, stopping
from peftcli.errors import UserError
from peftcli.launchers import assignments
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.groups import Group, Machine, Take, kill, look_after, restart, start, visible_gpus
from peftcli.launchers.pipes import Pipes
from peftcli.launchers.slurm_watch import Tally
from peftcli.launchers.worker import STOP
from peftcli.runner.display import Board, screen
from peftcli.runner.work import SweepSettings, WorkUnit

GRACE = 2.0  # seconds that processes asked to stop have left when the launcher's own patience is over
LAST_WORDS = 0.3  # seconds of them in which the launcher passes on what they said, and tidies the terminal


def check(processes: int | None, per_cohort: int, device: str | None) -> int:
    """The number of processes: as asked, else one a GPU, else one a core. Raises UserError where it cannot be."""
    gpus = visible_gpus(device)
    count = processes or len(gpus) or max(per_cohort, len(os.sched_getaffinity(0)) // per_cohort * per_cohort)
    if count % per_cohort:
        raise UserError(f"--processes {count} is no multiple of --processes-per-run {per_cohort}")
    if per_cohort > 1 and gpus and count > len(gpus):
        raise UserError(
            f"--processes {count}: with --processes-per-run every process needs a GPU; there are {len(gpus)}"
        )
    return count


def run(unit: WorkUnit, settings: SweepSettings, processes: int, per_cohort: int) -> list[str]:
    """Train a unit by so many processes, `per_cohort` of them together; returns a line for every group that ended badly.

    Its runs stay missing and the others finish. Raises Stopped on a signal: the processes have saved and ended.
    """
    parts = assignments.divide(unit.wanted_cohorts, processes // per_cohort, partial(assignments.cost, settings.model))
    tally, pipes = Tally(unit.runs, settings.output), Pipes()
    folder, machine = Path(tempfile.mkdtemp(prefix="peftcli-")), Machine(processes, per_cohort, settings.device)
    groups: list[Group] = []
    try:
        with Board() as board, stopping.deferred(partial(_end, groups, folder)):
            # Where a table is drawn, lines that processes print themselves would run through it.
            take = (lambda line: board.say(line.decode(errors="replace"))) if board.live else None
            for number, cohorts in enumerate(parts):
                file = folder / f"assignment-{number}.json"
                files.write(file, assignments.encode(Assignment(unit.part(cohorts), settings)))
                groups.append(start(file, unit.part(cohorts), number, machine, pipes, take))
            _watch(groups, machine, pipes, board, take)
    finally:
        for group in groups:
            kill(group)
        pipes.close()
        shutil.rmtree(folder, ignore_errors=True)
    return [
        f"process {group.name} {group.complaint}: {len(tally.left(group.runs))} of its {len(group.runs)} runs are missing"
        for group in groups
        if group.complaint is not None
    ]


def _watch(groups: list[Group], machine: Machine, pipes: Pipes, board: Board, take: Take | None) -> None:
    """Wait for all groups, start the broken ones again, and show what they report. Raises Stopped on a signal."""
    while not all(group.over for group in groups):
        if stopping.asked():
            _stop(groups, pipes)
            raise stopping.Stopped
        for group in tuple(groups):
            look_after(group)
            if group.broken and (again := restart(group, machine, pipes, take)) is not None:
                groups.append(again)
        board.show(lambda: screen({group.name: group.status(pipes.statuses[group.name]) for group in groups}))
        pipes.listen(0.2)


def _stop(groups: Sequence[Group], pipes: Pipes) -> None:
    """Ask every group to save and end, and wait for it; what they say meanwhile is passed on."""
    for group in groups:
        stdin = group.processes[0].stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # it has ended by itself
            os.write(stdin.fileno(), STOP)
    while any(group.code is None for group in groups):
        pipes.listen(0.05)


def _end(groups: Sequence[Group], folder: Path) -> None:
    """Let processes that were asked to stop have the rest of their time, then end them; called from another thread."""
    limit = time.monotonic() + GRACE
    while time.monotonic() < limit and any(group.code is None for group in groups):
        time.sleep(0.05)
    # This process ends without unwinding: what `run` cleans up at its end is done here.
    time.sleep(max(0.0, min(LAST_WORDS, limit - time.monotonic())))
    for group in groups:
        kill(group)
    shutil.rmtree(folder, ignore_errors=True)
