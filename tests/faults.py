"""Faults put into the writing of a file: at each open, write, sync and rename a kill, or an error of the disk."""

import builtins
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftcli import files

STEPS = ("open", "half a write", "write", "flush", "sync", "close", "rename", "open folder", "sync folder")


class Strike:
    """Counts the steps of a write and, before the chosen one, does what is asked; `seen` are the steps' names."""

    def __init__(self, at: int | None, act: Callable[[], None]) -> None:
        self.at, self.act, self.seen = at, act, list[str]()

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if len(self.seen) - 1 == self.at:
            self.act()


class Stream:
    """An open file that strikes before each step; half of what is written reaches the disk before the other half."""

    def __init__(self, path: Path, mode: str, strike: Strike) -> None:
        strike("open")
        self.stream, self.strike = builtins.open(path, mode, buffering=0), strike  # noqa: SIM115

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.strike("close")
        self.stream.close()

    def write(self, data: bytes) -> None:
        self.strike("half a write")
        self.stream.write(data[: len(data) // 2])
        self.strike("write")
        self.stream.write(data[len(data) // 2 :])

    def flush(self) -> None:
        self.strike("flush")

    def fileno(self) -> int:
        return self.stream.fileno()


class System:
    """The operating system as `peftcli.files` sees it, with a strike before what moves data."""

    def __init__(self, strike: Strike) -> None:
        self.strike, self.folders = strike, set[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int) -> int:
        self.strike("open folder")
        descriptor = os.open(path, flags)
        self.folders.add(descriptor)
        return descriptor

    def fsync(self, descriptor: int) -> None:
        self.strike("sync folder" if descriptor in self.folders else "sync")
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self.strike("rename")
        os.replace(source, target)


def install(patch: pytest.MonkeyPatch, at: int | None, act: Callable[[], None] = lambda: None) -> Strike:
    """Strike at the given step of the next write from 0 (None: only count)."""
    strike = Strike(at, act)
    patch.setattr(files, "open", lambda path, mode: Stream(path, mode, strike), raising=False)
    patch.setattr(files, "os", System(strike))
    return strike


def kill() -> None:
    """End this process as nothing else would: no cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
    """Say what a full disk says."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def killed(at: int, write: Callable[[], object]) -> bool:
    """Fork, and kill the child at the given step of what it writes; says whether it was killed."""
    child = os.fork()
    if child == 0:
        install(pytest.MonkeyPatch(), at, kill)
        write()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
