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
# Exit codes of a process in a group that trains together: it has lost another one; it cannot go on with what it does
# (memory ran out, say), has written down what is left, and the group is to be started again with that.
LOST, REGROUP = 70, 71
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
PATIENCE = 2.5  # seconds in which a step may end by itself, of the five that stopping may take
SHORT = 0.5  # seconds to stop by itself where there is nothing to save


class Stopped(SystemExit):
    """The program ends with exit code 75: run it again to go on."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


# One process has one set of handlers, so that what they know is the module's. `asked`: a handler has run. `heard`: a signal
# has come, which the watching thread knows before Python gets round to running the handler.
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
    """A context in which a signal only asks to stop: the code looks at `asked` between its steps; leaving it raises Stopped.

    Where a step takes longer than PATIENCE, `rescue` is called from another thread, and must save the progress.
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
    """Ignore signals from here on, so that none changes the exit code once it is decided."""
    # When the interpreter ends it drops Python's handlers first: a late signal would end the process by its own number.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def leave() -> None:
    """End the program as stopped, once all is saved and unwound."""
    # Not by sys.exit: the interpreter's own end takes a second with torch loaded, and hears no second signal.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it may be gone
            stream.flush()
    os._exit(STOPPED)


def asked() -> bool:
    """Whether a signal has asked to stop."""
    return _state["asked"]


def heard() -> bool:
    """Whether a signal came, even where its handler has not run yet."""
    return _state["heard"]


def _handle(number: int, frame: FrameType | None) -> None:
    if _state["asked"]:  # the second signal: whoever sends it does not want to wait
        os._exit(STOPPED)
    _state["asked"] = True
    if not _state["deferred"]:
        raise Stopped


def _hold() -> None:
    """Hold signals back while the process forks: until the child has a pipe of its own it would write into its parent's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _begin_child() -> None:
    _watch()  # threads do not survive a fork: the child needs its own
    _release()


def _watch() -> None:
    """Start a thread that hears of signals at once; a handler waits until a long computation gives way to Python."""
    # The interpreter writes each signal's number into this pipe from C, whatever the main thread is doing.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), daemon=True, name="signals").start()


def _wait(reading: int) -> None:
    """At the first signal give the main thread time to stop by itself, then save what there is and end the process."""
    _hear(reading)
    _state["heard"] = True
    threading.Thread(target=_end_on_second, args=(reading,), daemon=True).start()
    time.sleep(PATIENCE if _rescue else SHORT)
    try:
        for rescue in tuple(_rescue):
            rescue()
    finally:  # a rescue that fails must not keep the process alive
        os._exit(STOPPED)


def _end_on_second(reading: int) -> None:
    _hear(reading)
    os._exit(STOPPED)


def _hear(reading: int) -> None:
    """Block until one of SIGNALS comes; others that have handlers are written into the pipe too."""
    while os.read(reading, 1)[0] not in SIGNALS:
        pass
