"""Sweeps that are disturbed: started in a process of their own, ended by a signal, and compared with an undisturbed one."""

import json
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from peftcli import records
from peftcli.__main__ import main
from peftcli.data import loading
from peftcli.engine import backbone
from peftcli.experiment.recipe import load
from peftcli.report import report as reporting
from peftcli.runner import cohort

SCALE = float(os.environ.get("PEFTCLI_CHAOS", "1"))
VARYING = ("seconds", "peak_memory_bytes", "ended")


def count(whole: int) -> int:
    """How often to do what is done `whole` times where all is done."""
    return max(1, round(whole * SCALE))


def forked(arguments: Sequence[str], checkpoint_seconds: float, stderr: Path = Path(os.devnull)) -> BaseProcess:
    """Start the command line in a fork of this process, which has its imports behind it but has loaded nothing.

    What it says goes to the file.
    """
    loading._tokenised.cache_clear()
    backbone.load.cache_clear()
    process = multiprocessing.get_context("fork").Process(
        target=_command, args=(list(arguments), checkpoint_seconds, stderr)
    )
    process.start()
    return process


def _command(arguments: list[str], checkpoint_seconds: float, stderr: Path) -> None:
    for name, number, file in (("stdout", 1, Path(os.devnull)), ("stderr", 2, stderr)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
        setattr(sys, name, open(number, "w", buffering=1, closefd=False))  # noqa: SIM115 - pytest's own goes elsewhere
    sys.argv = ["peftcli", *arguments]
    original = cohort.Checkpoints
    cohort.Checkpoints = lambda output, runs, _, *rest: original(output, runs, checkpoint_seconds, *rest)  # type: ignore[misc, assignment]
    main()


def killed(process: BaseProcess, after: float | None) -> int:
    """SIGKILL the process after so many seconds (None: never), unless it ends before; gives its return code."""
    process.join(after)
    if process.exitcode is None:
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def timed(arguments: Sequence[str]) -> float:
    """How many seconds a fork takes, undisturbed; once before in this process, so that forks need not import."""
    process = forked(arguments, 600.0)
    started = time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - started


def contents(output: Path) -> dict[str, bytes]:
    """Every visible file under a results folder by its place; records without their times. All must be sound."""
    found = {}
    for file in sorted(output.rglob("*")):
        place = file.relative_to(output)
        if file.is_file() and not any(part.startswith(".") for part in place.parts):
            found[str(place)] = _timeless(file) if file.suffix == ".json" else file.read_bytes()
    return found


def _timeless(file: Path) -> bytes:
    body: dict[str, Any] = records.read(file).body
    cost = {key: value for key, value in body["cost"].items() if key not in VARYING}
    return json.dumps({**body, "cost": cost}).encode()


def written(output: Path) -> dict[str, tuple[int, int]]:
    """Every record's inode and time of writing, by its place: a run trained twice shows."""
    found = {str(file.relative_to(output)): file.stat() for file in output.glob("*/*.json")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def table(recipe: Path, output: Path) -> str:
    """The recipe's report from the records, without what tells how long they took and what memory they held."""
    without_line = re.sub(r"Cost: [^,]*", "Cost:", reporting.report(load(recipe), output, "markdown"))
    # Time and Memory, in the table of costs: | strategy | runs | time | tokens | memory | delta |.
    return re.sub(r"(?m)^(\|.*\| \d+ \|)[^|]+(\|[^|]+\|)[^|]+(\|[^|]+\|)$", r"\1\2\3", without_line)
