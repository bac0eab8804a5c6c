"""Stopping on a signal: at once where nothing would be lost, else at the next step, with progress saved. No heavy imports."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

STOPPED = 75  # the exit code of a run stopped by a signal, with its progress saved (EX_TEMPFAIL)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stopped(SystemExit):
    """The program ends with exit code 75: run it again to go on."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


_state = {"asked": False, "deferred": False}


def install() -> None:
    """Put the handlers in place; call it before anything slow is imported."""
    for number in SIGNALS:
        signal.signal(number, _handle)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Inside, a signal only asks to stop, and the code looks at `asked` between its steps."""
    _state["deferred"] = True
    try:
        yield
    finally:
        _state["deferred"] = False


def asked() -> bool:
    """Whether a signal has asked to stop."""
    return _state["asked"]


def _handle(number: int, frame: FrameType | None) -> None:
    if _state["asked"]:
        os._exit(STOPPED)
    _state["asked"] = True
    if not _state["deferred"]:
        raise Stopped
