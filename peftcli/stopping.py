"""Stopping on a signal: at once where nothing would be lost, else with progress saved. No heavy imports."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

STOPPED = 75  # the exit code of a run stopped by a signal, with its progress saved (EX_TEMPFAIL)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
PATIENCE = 2.5  # seconds in which a step may end by itself, of the five that stopping may take
SHORT = 0.5  # seconds to stop by itself where there is nothing to save


class Stopped(SystemExit):
    """The program ends with exit code 75: run it again to go on."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


_state = {"asked": False, "deferred": False, "heard": False}
_rescue: list[Callable[[], None]] = []  # what saves the progress while the code below `deferred` is at work


def install() -> None:
    """Put the handlers in place; call it before anything slow is imported."""
    for number in SIGNALS:
        signal.signal(number, _handle)
    _watch()
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_begin_child)


@contextlib.contextmanager
def deferred(rescue: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal only asks to stop, and the code looks at `asked` between its steps; at the end it is raised.

    Where a step lasts too long for that, `rescue` is called from another thread, and must save the progress.
    """
    _rescue[:] = [rescue]
    _state["deferred"] = True
    try:
        yield
    finally:
        _state["deferred"] = False
        _rescue.clear()
    if _state["asked"]:
        raise Stopped


def settle() -> None:
    """Let no signal change the exit code once it is decided: Python would drop its handlers first when it ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def leave() -> None:
    """End the program as stopped, without the second that the interpreter takes to end: all is saved and unwound."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it may be gone
            stream.flush()
    os._exit(STOPPED)


def asked() -> bool:
    """Whether a signal has asked to stop."""
    return _state["asked"]


def heard() -> bool:
    """Whether a signal came, be it that the code has not seen it yet."""
    return _state["heard"]


def _handle(number: int, frame: FrameType | None) -> None:
    if _state["asked"]:
        os._exit(STOPPED)
    _state["asked"] = True
    if not _state["deferred"]:
        raise Stopped


def _hold() -> None:
    """Keep signals waiting while a process forks, so that a child hears of its own, and its parent of none of them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _begin_child() -> None:
    _watch()
    _release()


def _watch() -> None:
    """Start a thread that hears of signals at once: handlers wait until a long computation gives way to Python."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), daemon=True, name="signals").start()


def _wait(reading: int) -> None:
    _hear(reading)
    _state["heard"] = True
    threading.Thread(target=_end_on_second, args=(reading,), daemon=True).start()
    time.sleep(PATIENCE if _rescue else SHORT)
    try:
        for rescue in tuple(_rescue):
            rescue()
    finally:
        os._exit(STOPPED)


def _end_on_second(reading: int) -> None:
    _hear(reading)
    os._exit(STOPPED)


def _hear(reading: int) -> None:
    while os.read(reading, 1)[0] not in SIGNALS:
        pass
