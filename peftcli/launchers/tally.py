"""Counting, from the records alone, how many of a sweep's wanted runs have ended since it began. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peftcli import records
from peftcli.experiment.run import Run


@dataclass
class Tally:
    """Runs that are waited for. A record that was there at the start (of a failed run) counts once it is replaced."""

    runs: Sequence[Run]
    output: Path
    before: dict[Path, int] = field(default_factory=dict)
    statuses: dict[Path, str] = field(default_factory=dict)  # of the runs that have ended, as far as asked for

    def __post_init__(self) -> None:
        self.before = {path: _changed(path) for path in self._paths(self.runs)}

    def left(self, runs: Iterable[Run]) -> list[Run]:
        """Give those of these runs that have not ended yet."""
        return [run for run in runs if self._waiting(records.path(self.output, run))]

    def counts(self) -> tuple[int, int]:
        """Give how many runs have completed, and how many have ended otherwise; each record is read once."""
        ended = [path for path in self.before if not self._waiting(path)]
        self.statuses |= {path: _status(path) for path in ended if path not in self.statuses}
        done = sum(self.statuses[path] == "completed" for path in ended)
        return done, len(ended) - done

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


def _status(path: Path) -> str:
    try:
        return records.read(path).status
    except records.Unreadable:
        return "damaged"
