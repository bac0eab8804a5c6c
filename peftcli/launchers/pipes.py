"""The pipes between a sweep's processes and their parent: each process reports how far it is, one line at a time.

Where the parent draws on a terminal, what a process prints goes through the parent too. No torch.
"""

import contextlib
import os
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field

from peftcli.runner.display import Status, decode, encode

SECONDS = 1.0  # between two reports of a process
READ_BYTES = 1 << 16  # read from a pipe at once


def reporter(descriptor: int) -> Callable[[Status], None]:
    """A function that reports a status through a pipe. Where the parent does not read, reports are lost; nobody waits."""
    os.set_blocking(descriptor, False)

    def report(status: Status) -> None:
        # A full pipe raises BlockingIOError. A line is shorter than PIPE_BUF (4096 bytes on Linux), so that the
        # system writes it whole or not at all.
        with contextlib.suppress(OSError):
            os.write(descriptor, encode(status))

    return report


@dataclass
class Pipes:
    """The parent's ends of all pipes; `statuses` holds what each process reported last, by its name."""

    statuses: dict[str, Status] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def open_status(self, name: str, first: Status) -> int:
        """Open the pipe on which a process reports its status; returns the process's end, which the parent closes."""
        self.statuses[name] = first

        def update(line: bytes) -> None:
            self.statuses[name] = decode(line)

        return self.open_lines(update)

    def open_lines(self, take: Callable[[bytes], None]) -> int:
        """Open a pipe that hands every line to `take`; returns the process's end, which the parent closes."""
        reading, writing = os.pipe()
        self._selector.register(reading, selectors.EVENT_READ, _LineBuffer(take))
        return writing

    def listen(self, seconds: float) -> None:
        """Handle what has arrived; where nothing has, wait at most so long for it."""
        for key, _ in self._selector.select(seconds):
            chunk = os.read(key.fd, READ_BYTES)
            key.data.add(chunk)
            if not chunk:  # the process has closed its end
                self._selector.unregister(key.fd)
                os.close(key.fd)

    def close(self) -> None:
        """Handle what is left in the pipes, and close them."""
        while self._selector.get_map() and self._selector.select(0):
            self.listen(0)
        # A process that was killed may have left a child that still holds the other end: do not wait for that.
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()


@dataclass
class _LineBuffer:
    """Cuts the bytes of a pipe into lines and hands each to `take`; `rest` is the line that has not ended yet."""

    take: Callable[[bytes], None]
    rest: bytes = b""

    def add(self, chunk: bytes) -> None:
        """Add the next bytes; none mean the end, at which an unfinished line counts too."""
        *lines, self.rest = (self.rest + chunk).split(b"\n") if chunk else [self.rest, b""]
        for line in filter(None, lines):
            self.take(line)
