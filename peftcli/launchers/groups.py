"""The processes of a group, which train together: started with their part of the machine, watched, ended.

Where one of them breaks (its memory ran out, say), its peers may wait for hours in a sum that it does not come to: all are
ended, and the group is started again with what the broken one left to do, in smaller cohorts.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from peftcli.experiment.run import Run
from peftcli.launchers import assignments
from peftcli.launchers.pipes import Pipes
from peftcli.runner.children import python_path
from peftcli.runner.display import Status
from peftcli.runner.work import WorkUnit
from peftcli.stopping import LOST, REGROUP

PROGRAM = "peftcli.launchers.worker"
MEETING_GRACE = 5.0  # seconds that the first process of a group has once another one is gone
Take = Callable[[bytes], None]  # handles one line


@dataclass(frozen=True)
class Machine:
    """How a machine is divided: `processes` in all, `per_cohort` of them a group, on what --device says."""

    processes: int
    per_cohort: int
    device: str | None


@dataclass
class Group:
    """Processes that train together, the first of them writing; `lost` is when another one ended too early.

    `number` counts a sweep's groups from 0, `start` how often this one was started; what it does is in its assignment's `file`.
    """

    file: Path
    number: int
    runs: list[Run]
    processes: list[subprocess.Popen[bytes]]  # by rank
    start: int = 1
    lost: float | None = None
    continued: bool = False  # another group goes on with what it left

    @property
    def name(self) -> str:
        """Its number from 1, and which start it is where it was started several times."""
        return f"{self.number + 1}" if self.start == 1 else f"{self.number + 1}.{self.start}"

    @property
    def code(self) -> int | None:
        """The first process's exit code; None while it is at work."""
        return self.processes[0].poll()

    @property
    def broken(self) -> bool:
        """Whether a process ended for the group to be started again, and that has not been done."""
        return not self.continued and any(process.poll() == REGROUP for process in self.processes)

    @property
    def over(self) -> bool:
        """Whether nothing more is to come of it."""
        return all(process.poll() is not None for process in self.processes) and not self.broken

    @property
    def complaint(self) -> str | None:
        """How it ended, in words; None where it is at work, ended well or is continued."""
        if self.code in (None, 0) or self.continued:
            return None
        codes = [process.returncode for process in self.processes]
        # Popen's return code is minus the signal's number where one killed the process.
        words = ", ".join(f"killed by signal {-code}" if code < 0 else f"exit code {code}" for code in codes if code)
        return f"ended early ({words})"

    def status(self, last: Status) -> Status:
        """What to show of it, given what it reported last."""
        if self.continued:  # what it left is counted where it is done
            return replace(last.ended("continued"), runs=last.done + last.failed)
        return last if self.code is None else last.ended(self.complaint or "finished")


def start(file: Path, part: WorkUnit, number: int, machine: Machine, pipes: Pipes, take: Take | None) -> Group:
    """Start a group's processes; the first reports its status, and what they print goes to `take` where there is one."""
    return _started(Group(file, number, part.runs, []), machine, pipes, take)


def restart(group: Group, machine: Machine, pipes: Pipes, take: Take | None) -> Group | None:
    """Start a broken group again, with what it wrote down as left; None where that is nothing."""
    group.continued = True
    left = assignments.decode(group.file).unit
    if not left.cohorts:
        return None
    return _started(Group(group.file, group.number, left.runs, [], group.start + 1), machine, pipes, take)


def _started(group: Group, machine: Machine, pipes: Pipes, take: Take | None) -> Group:
    status = pipes.open_status(group.name, Status(runs=len(group.runs)))
    messages = pipes.open_lines(take) if take is not None else None
    command = [sys.executable, "-m", PROGRAM, str(group.file)]
    meeting = str(group.file.with_name(f"meeting-{group.name}"))  # one that was used before would lead nowhere
    for rank in range(machine.per_cohort):
        group.processes.append(
            subprocess.Popen(
                [*command, str(rank), str(machine.per_cohort), meeting, str(status)],
                stdin=subprocess.PIPE,
                stderr=messages,
                pass_fds=[status],
                env=_environment(group.number, machine),
                start_new_session=True,  # the terminal's signals come through this process alone
            )
        )
    # The processes hold these ends now; a pipe of which this process kept one would never end.
    for descriptor in (status, messages):
        if descriptor is not None:
            os.close(descriptor)
    return group


def look_after(group: Group) -> None:
    """End a group that is broken, whose first process has ended, or that has lost another one."""
    codes = [process.poll() for process in group.processes]
    if group.broken or codes[0] not in (None, LOST):
        kill(group)
    elif any(code not in (None, 0) for code in codes):
        # The first process may be about to notice by itself, and to say more of it than we can; where it was the first
        # to notice, the one that it lost may not have ended yet.
        group.lost = group.lost or time.monotonic()
        if time.monotonic() - group.lost > MEETING_GRACE:
            kill(group)


def kill(group: Group) -> None:
    """End what is left of a group."""
    for process in group.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _environment(group: int, machine: Machine) -> dict[str, str]:
    """A group's environment: its GPUs, in turn, and its part of the cores, where nobody said otherwise."""
    # A worker is a process of its own: what it is to see differently, it has to be told before it imports torch.
    cores = max(1, len(os.sched_getaffinity(0)) // machine.processes)
    environment = {"OMP_NUM_THREADS": str(cores), **os.environ, "PYTHONPATH": python_path()}
    if available := visible_gpus(machine.device):
        first = group * machine.per_cohort
        devices = [available[(first + rank) % len(available)] for rank in range(machine.per_cohort)]
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    return environment


def visible_gpus(device: str | None) -> list[str]:
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
