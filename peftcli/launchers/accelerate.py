"""A sweep by several processes of this machine: each trains its unit, or several of them one cohort together.

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
from peftcli.launchers import assignments, shares
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.pipes import Wires
from peftcli.launchers.tally import Tally
from peftcli.launchers.worker import STOP, python_path
from peftcli.runner import status
from peftcli.runner.display import Board
from peftcli.runner.status import Status
from peftcli.runner.work import SweepSettings, WorkUnit

GRACE = 2.0  # seconds that processes asked to stop have left when the launcher's own patience is over
LAST_WORDS = 0.3  # seconds of them in which the launcher passes on what they said, and tidies the terminal
MEETING_GRACE = 5.0  # seconds that the first process of a group has once another one is gone
Take = Callable[[bytes], None]  # is given a line


@dataclass
class Group:
    """Processes that train one unit, the first of them writing; `lost` is when another one ended too early."""

    name: str
    processes: list[subprocess.Popen[bytes]]
    runs: list[Run]
    lost: float | None = None

    @property
    def code(self) -> int | None:
        """The first process's exit code; None while it is at work."""
        return self.processes[0].poll()

    @property
    def how(self) -> str | None:
        """How it ended, in words; None where it is at work or ended well."""
        if self.code in (None, 0):
            return None
        codes = [process.returncode for process in self.processes]
        how = ", ".join(f"killed by signal {-code}" if code < 0 else f"exit code {code}" for code in codes if code)
        return f"ended early ({how})"


def check(processes: int | None, each: int) -> int:
    """Give the number of processes: as asked, else one a GPU, else one a core. Raises UserError where it cannot be."""
    gpus = _gpus()
    count = processes or len(gpus) or max(each, len(os.sched_getaffinity(0)) // each * each)
    if count % each:
        raise UserError(f"--processes {count} is no multiple of --processes-per-run {each}")
    if each > 1 and gpus and count > len(gpus):
        raise UserError(
            f"--processes {count}: with --processes-per-run every process needs a GPU; there are {len(gpus)}"
        )
    return count


def run(unit: WorkUnit, settings: SweepSettings, processes: int, each: int) -> list[str]:
    """Train a unit by `processes` processes, `each` of them a cohort; gives a line for every group that ended badly.

    Its runs stay missing and the others finish. Raises Stopped on a signal: the processes have saved and ended.
    """
    parts = shares.divide(unit.wanted_cohorts, processes // each, partial(shares.cost, settings.model))
    tally, wires = Tally(unit.runs, settings.output), Wires()
    folder = Path(tempfile.mkdtemp(prefix="peftcli-"))
    groups: list[Group] = []
    try:
        with Board() as board, stopping.deferred(partial(_end, groups, folder)):
            messages = (lambda line: board.say(line.decode(errors="replace"))) if board.live else None
            for number, cohorts in enumerate(parts):
                file = folder / f"share-{number}.json"
                files.write(file, assignments.encode(Assignment(unit.part(cohorts), settings)))
                groups.append(_start(file, unit.part(cohorts), number, each, processes, wires, messages))
            _watch(groups, wires, board)
    finally:
        for group in groups:
            _kill(group)
        wires.close()
        shutil.rmtree(folder, ignore_errors=True)
    return [line for group in groups if (line := _outcome(group, tally)) is not None]


def _start(
    file: Path, part: WorkUnit, number: int, each: int, processes: int, wires: Wires, messages: Take | None
) -> Group:
    """Start a unit's processes; the first tells its status, and what they print goes to `messages` if that is given."""
    group = Group(str(number + 1), [], part.runs)
    telling = wires.status(group.name, Status(runs=len(group.runs)))
    said = wires.lines(messages) if messages is not None else None
    command = [sys.executable, "-m", "peftcli.launchers.worker", str(file)]
    meeting = str(file.parent / f"meeting-{number}")
    for rank in range(each):
        group.processes.append(
            subprocess.Popen(
                [*command, str(rank), str(each), meeting, str(telling)],
                stdin=subprocess.PIPE,
                stderr=said,
                pass_fds=[telling],
                env=_environment(number, each, processes),
                start_new_session=True,  # the terminal's signals come through this process alone
            )
        )
    for descriptor in (telling, said):
        if descriptor is not None:
            os.close(descriptor)
    return group


def _environment(group: int, each: int, processes: int) -> dict[str, str]:
    """A group's environment: its GPUs, in turn, and on a processor its part of the cores, where nobody said otherwise."""
    found = {**os.environ, "PYTHONPATH": python_path()}
    gpus = _gpus()
    if gpus:
        own = [gpus[(group * each + rank) % len(gpus)] for rank in range(each)]
        return {**found, "CUDA_VISIBLE_DEVICES": ",".join(own)}
    return {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // processes)), **found}


def _gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def _watch(groups: Sequence[Group], wires: Wires, board: Board) -> None:
    """Wait for all groups, and show what they tell. Raises Stopped on a signal."""
    while any(group.code is None for group in groups):
        if stopping.asked():
            _stop(groups, wires)
            raise stopping.Stopped
        for group in groups:
            _look_after(group)
        board.show(lambda: status.screen({group.name: _status(group, wires) for group in groups}))
        wires.listen(0.2)


def _status(group: Group, wires: Wires) -> Status:
    """What a group told last; of one that is gone, how it ended."""
    told = wires.statuses[group.name]
    return told if group.code is None else told.ended(group.how or "finished")


def _look_after(group: Group) -> None:
    """End a group whose first process has ended, or that has lost another one."""
    if group.code is not None:
        _kill(group)
    elif any(process.poll() not in (None, 0) for process in group.processes[1:]):
        group.lost = group.lost or time.monotonic()
        if time.monotonic() - group.lost > MEETING_GRACE:
            _kill(group)


def _stop(groups: Sequence[Group], wires: Wires) -> None:
    """Ask every group to save and end, and wait for it; what they say meanwhile is passed on."""
    for group in groups:
        with contextlib.suppress(OSError):  # it has ended by itself
            os.write(_stdin(group.processes[0]), STOP)
    while any(group.code is None for group in groups):
        wires.listen(0.05)


def _end(groups: Sequence[Group], folder: Path) -> None:
    """Give processes that were asked to stop the rest of their time, then end them; called from another thread."""
    limit = time.monotonic() + GRACE
    while time.monotonic() < limit and any(group.code is None for group in groups):
        time.sleep(0.05)
    time.sleep(max(0.0, min(LAST_WORDS, limit - time.monotonic())))
    for group in groups:
        _kill(group)
    shutil.rmtree(folder, ignore_errors=True)


def _kill(group: Group) -> None:
    for process in group.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _stdin(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdin is not None
    return process.stdin.fileno()


def _outcome(group: Group, tally: Tally) -> str | None:
    """Word how a group ended, where it did not end well."""
    if group.how is None:
        return None
    left = len(tally.left(group.runs))
    return f"process {group.name} {group.how}: {left} of its {len(group.runs)} runs are missing"
