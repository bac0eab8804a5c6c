"""One tracker's side of a training process: it starts the tracker's process and tells it what is new, waiting for nothing."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from peftcli.runner.children import python_path
from peftcli.runner.trackers.news import News

PROGRAM = "peftcli.runner.trackers.process"
# By these accelerate takes a process for one of a group, and waits for the others.
GROUP = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
)


@dataclass
class Follower:
    """The tracker called `name`, which works in a process of its own; `output` is the results folder.

    In this process its imports would cost training their time, and change what other libraries see between two of
    their steps; and whatever hangs there could not be ended. A thread writes to it, since a pipe that nobody reads fills.
    """

    name: str
    output: Path
    lost: bool = False  # it failed, and that was said
    _told: SimpleQueue[News | None] = field(default_factory=SimpleQueue)
    _process: subprocess.Popen[bytes] | None = None
    _thread: Thread | None = None

    def tell(self, news: News) -> None:
        """Note what there is to hand on; returns at once."""
        if self._process is None:
            self._process = self._started()
            self._thread = Thread(target=self._write, args=(self._process,), daemon=True, name=self.name)
            self._thread.start()
        if not self.lost:
            self._told.put(news)

    def finish(self) -> None:
        """Note that nothing more comes."""
        self._told.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until all is handed on, but not for longer, and say so where that is not enough."""
        if self._thread is None:
            return
        self._thread.join(max(seconds, 0.0))
        if self._thread.is_alive():
            self.lost = True
            print(f"--track {self.name}: not all was taken in time; the records have it", file=sys.stderr, flush=True)

    def _started(self) -> subprocess.Popen[bytes]:
        # Cores and GPUs are for training, and the terminal's signals come to this process alone.
        environment = {name: value for name, value in os.environ.items() if name not in GROUP}
        environment |= {"PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", PROGRAM, self.name, str(self.output)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on what is told until the end, or until the process ends; say what it says then."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while (news := self._told.get()) is not None:
                process.stdin.write(news.line())
                process.stdin.flush()
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says why, below
        complaint = process.stdout.read().decode(errors="replace").strip()
        if (complaint or process.wait() != 0) and not self.lost:
            said = complaint or f"its process ended with exit code {process.returncode}"
            self.lost = True
            print(f"--track {self.name}: {said}; training goes on, untracked there", file=sys.stderr, flush=True)
