"""Counting, from the records alone, how many of a sweep's wanted runs have ended since it began. No torch."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peftcli import records
from peftcli.runs import Run

SECONDS = 60.0  # between two lines of progress


@dataclass
class Tally:
    """Runs that are waited for. A record that was there at the start (of a failed run) counts once it is replaced."""

    runs: Sequence[Run]
    output: Path
    before: dict[Path, int] = field(default_factory=dict)
    shown: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.before = {path: _changed(path) for path in self._paths(self.runs)}

    def left(self, runs: Iterable[Run]) -> list[Run]:
        """Give those of these runs that have not ended yet."""
        return [run for run in runs if self._waiting(records.path(self.output, run))]

    def show(self, doing: str) -> None:
        """Print a line of progress, at most one a minute."""
        if time.monotonic() - self.shown >= SECONDS:
            self.shown = time.monotonic()
            left = len(self.left(self.runs))
            print(f"{doing} | {len(self.runs) - left} runs ended, {left} left", file=sys.stderr, flush=True)

    def _waiting(self, path: Path) -> bool:
        return path in self.before and _changed(path) == self.before[path]

    def _paths(self, runs: Iterable[Run]) -> list[Path]:
        return [records.path(self.output, run) for run in runs]


def _changed(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
