"""A sweep by several processes of this machine: each trains a part of the cohorts, or several of them one cohort together.

The processes are accelerate's (`peftcli.engine.parallel` joins its groups), started one by one, so that one that dies takes
nothing with it but its own group; they meet in a file, since a port can be taken by somebody else.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from peftcli import files, stopping
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.launchers import assignments
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.pipes import Pipes
from peftcli.launchers.slurm_watch import Tally
from peftcli.launchers.worker import STOP, python_path
from peftcli.runner.display import Board, Status, screen
from peftcli.runner.work import SweepSettings, WorkUnit

GRACE = 2.0  # seconds that processes asked to stop have left when the launcher's own patience is over
LAST_WORDS = 0.3  # seconds of them in which the launcher passes on what they said, and tidies the terminal
MEETING_GRACE = 5.0  # seconds that the first process of a group has once another one is gone
Take = Callable[[bytes], None]  # handles one line


@dataclass
class Group:
    """Processes that train together, the first of them writing; `lost` is when another one ended too early."""

    name: str
    processes: list[subprocess.Popen[bytes]]  # by rank
    runs: list[Run]
    lost: float | None = None

    @property
    def code(self) -> int | None:
        """The first process's exit code; None while it is at work."""
        return self.processes[0].poll()

    @property
    def complaint(self) -> str | None:
        """How it ended, in words; None where it is at work or ended well."""
        if self.code in (None, 0):
            return None
        codes = [process.returncode for process in self.processes]
        # Popen's return code is minus the signal's number where one killed the process.
        words = ", ".join(f"killed by signal {-code}" if code < 0 else f"exit code {code}" for code in codes if code)
        return f"ended early ({words})"


def check(processes: int | None, per_cohort: int, device: str | None) -> int:
    """The number of processes: as asked, else one a GPU, else one a core. Raises UserError where it cannot be."""
    gpus = _gpus(device)
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
    folder = Path(tempfile.mkdtemp(prefix="peftcli-"))
    groups: list[Group] = []
    try:
        with Board() as board, stopping.deferred(partial(_end, groups, folder)):
            # Where a table is drawn, lines that processes print themselves would run through it.
            take = (lambda line: board.say(line.decode(errors="replace"))) if board.live else None
            for number, cohorts in enumerate(parts):
                file = folder / f"assignment-{number}.json"
                files.write(file, assignments.encode(Assignment(unit.part(cohorts), settings)))
                groups.append(
                    _start(file, unit.part(cohorts), number, per_cohort, processes, settings.device, pipes, take)
                )
            _watch(groups, pipes, board)
    finally:
        for group in groups:
            _kill(group)
        pipes.close()
        shutil.rmtree(folder, ignore_errors=True)
    return [
        f"process {group.name} {group.complaint}: {len(tally.left(group.runs))} of its {len(group.runs)} runs are missing"
        for group in groups
        if group.complaint is not None
    ]


def _start(
    file: Path,
    part: WorkUnit,
    number: int,
    per_cohort: int,
    processes: int,
    device: str | None,
    pipes: Pipes,
    take: Take | None,
) -> Group:
    """Start a group's processes; the first reports its status, and what they print goes to `take` where there is one."""
    group = Group(str(number + 1), [], part.runs)
    status = pipes.open_status(group.name, Status(runs=len(group.runs)))
    messages = pipes.open_lines(take) if take is not None else None
    command = [sys.executable, "-m", "peftcli.launchers.worker", str(file)]
    meeting = str(file.parent / f"meeting-{number}")
    for rank in range(per_cohort):
        group.processes.append(
            subprocess.Popen(
                [*command, str(rank), str(per_cohort), meeting, str(status)],
                stdin=subprocess.PIPE,
                stderr=messages,
                pass_fds=[status],
                env=_environment(number, per_cohort, processes, device),
                start_new_session=True,  # the terminal's signals come through this process alone
            )
        )
    # The processes hold these ends now; a pipe of which this process kept one would never end.
    for descriptor in (status, messages):
        if descriptor is not None:
            os.close(descriptor)
    return group


def _environment(group: int, per_cohort: int, processes: int, device: str | None) -> dict[str, str]:
    """A group's environment: its GPUs, in turn, and on a processor its part of the cores, where nobody said otherwise."""
    # A worker is a process of its own: what it is to see differently, it has to be told before it imports torch.
    inherited = {**os.environ, "PYTHONPATH": python_path()}
    gpus = _gpus(device)
    if gpus:
        devices = [gpus[(group * per_cohort + rank) % len(gpus)] for rank in range(per_cohort)]
        return {**inherited, "CUDA_VISIBLE_DEVICES": ",".join(devices)}
    return {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // processes)), **inherited}


def _gpus(device: str | None) -> list[str]:
    """The GPUs that processes may use, as CUDA_VISIBLE_DEVICES names them (by number or by UUID); `device` is --device.

    Raises UserError where a GPU that is wanted or there cannot be used.
    """
    import torch

    from peftcli.engine.device import choose

    if choose(device).type == "cpu":
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def _watch(groups: Sequence[Group], pipes: Pipes, board: Board) -> None:
    """Wait for all groups, and show what they report. Raises Stopped on a signal."""

    def status(group: Group) -> Status:
        last = pipes.statuses[group.name]
        return last if group.code is None else last.ended(group.complaint or "finished")

    while any(group.code is None for group in groups):
        if stopping.asked():
            _stop(groups, pipes)
            raise stopping.Stopped
        for group in groups:
            _look_after(group)
        board.show(lambda: screen({group.name: status(group) for group in groups}))
        pipes.listen(0.2)


def _look_after(group: Group) -> None:
    """End a group whose first process has ended, or that has lost another one."""
    if group.code is not None:
        _kill(group)
    elif any(process.poll() not in (None, 0) for process in group.processes[1:]):
        # The first process may be about to notice by itself, and to say more of it than we can.
        group.lost = group.lost or time.monotonic()
        if time.monotonic() - group.lost > MEETING_GRACE:
            _kill(group)


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
        _kill(group)
    shutil.rmtree(folder, ignore_errors=True)


def _kill(group: Group) -> None:
    for process in group.processes:
        if process.poll() is None:
            process.kill()
            process.wait()
