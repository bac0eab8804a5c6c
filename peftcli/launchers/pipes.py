"""What passes between the processes of a sweep: each tells its parent how far it is, a line at a time, on a pipe of its own.

On a terminal that is drawn on, what a process prints comes through the parent too. No torch.
"""

import contextlib
import os
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from peftcli.runner.status import Status, decode, encode

SECONDS = 1.0  # between two tellings
PART = 1 << 16  # bytes read at once


def teller(descriptor: int) -> Callable[[Status], None]:
    """Give what tells a status through a pipe; where the parent does not read, tellings are lost and training goes on."""
    os.set_blocking(descriptor, False)

    def tell(status: Status) -> None:
        with contextlib.suppress(OSError):  # a line is short enough to be written whole or not at all
            os.write(descriptor, encode(status))

    return tell


@dataclass
class Wires:
    """The parent's ends of all pipes. `statuses` has what each process told last, by its name."""

    statuses: dict[str, Status] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def status(self, name: str, first: Status) -> int:
        """Make the pipe on which a process tells its status; gives the end for it, which the parent closes."""
        self.statuses[name] = first
        return self.lines(partial(self._note, name))

    def lines(self, take: Callable[[bytes], None]) -> int:
        """Make a pipe whose every line is given to `take`; gives the end for a process, which the parent closes."""
        reading, writing = os.pipe()
        self._selector.register(reading, selectors.EVENT_READ, _Lines(take))
        return writing

    def listen(self, seconds: float) -> None:
        """Take what has come, or wait so long for something to come."""
        for key, _ in self._selector.select(seconds):
            part = os.read(key.fd, PART)
            key.data.add(part)
            if not part:
                self._selector.unregister(key.fd)
                os.close(key.fd)

    def close(self) -> None:
        """Take what is left, and close all."""
        while self._selector.get_map() and self._selector.select(0):
            self.listen(0)
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()

    def _note(self, name: str, line: bytes) -> None:
        self.statuses[name] = decode(line)


@dataclass
class _Lines:
    """Cuts what comes into lines."""

    take: Callable[[bytes], None]
    rest: bytes = b""

    def add(self, part: bytes) -> None:
        """Take the next bytes, none at the end."""
        *lines, self.rest = (self.rest + part).split(b"\n") if part else [self.rest, b""]
        for line in filter(None, lines):
            self.take(line)
