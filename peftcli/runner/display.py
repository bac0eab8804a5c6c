"""What a sweep shows on stderr: the status of its processes, as a live table or as a plain line a minute. No torch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from peftcli.experiment.durations import GUESSED, in_words

LIVE_SECONDS, PLAIN_SECONDS = 0.25, 60.0  # between two drawings, two lines
FIRST_GUESS = 3.0  # seconds of work before its end is guessed
COLUMNS = ("process", "running", "step", "loss", "steps/s")
WIDE = "running"  # the column that gives way where the terminal is narrow


@dataclass(frozen=True)
class Status:
    """One process at a moment: all it has done since it began, so that any earlier report may be lost.

    `step` of `steps` updates, `losses` the lowest and highest of the runs in training, `rate` in updates a second;
    `done` and `failed` of `runs`; `worked` and `left` in the unit of the launchers' costs, `seconds` at work.
    """

    running: str = "starting"
    step: int = 0
    steps: int = 0
    losses: tuple[float, float] | None = None
    rate: float | None = None
    runs: int = 0
    done: int = 0
    failed: int = 0
    worked: float = 0.0
    left: float = 0.0
    seconds: float = 0.0

    def ended(self, how: str) -> Status:
        """The status of a process that is gone: nothing more comes of it, so it has no work left."""
        return replace(self, running=how, steps=0, losses=None, rate=None, left=0.0)


def encode(status: Status) -> bytes:
    """Write a status as one line of JSON."""
    return json.dumps(asdict(status)).encode() + b"\n"


def decode(line: bytes) -> Status:
    """Read a status from a line that `encode` wrote."""
    fields = json.loads(line)
    losses = fields["losses"]  # JSON has lists where a status has a pair
    return Status(**{**fields, "losses": losses and tuple(losses)})


@dataclass(frozen=True)
class Screen:
    """What there is to show: a row for each worker, its cells under `columns`, and a line on all of them together."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    summary: str

    def line(self) -> str:
        """The screen as one line of text; empty cells are left out."""
        workers = []
        for row in self.rows:
            cells = zip(self.columns, row, strict=True)
            workers.append(", ".join(f"{column} {cell}" for column, cell in cells if cell))
        return " | ".join([self.summary, *workers])

    def table(self) -> Group:
        """The screen as a table for a terminal."""
        table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
        for column in self.columns:
            table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=1 if column == WIDE else None)
        for row in self.rows:
            table.add_row(*map(Text, row))  # Text: square brackets in a name are not rich's markup
        return Group(table, Text(self.summary, style="bold"))


def screen(statuses: Mapping[str, Status]) -> Screen:
    """A row for every process by its name, and the summary of all of them together."""
    rows = []
    for name, status in statuses.items():
        step = f"{status.step}/{status.steps}" if status.steps else ""
        rate = f"{status.rate:.3g}" if status.rate is not None else ""
        rows.append((name, status.running, step, _range(status.losses), rate))
    everyone = list(statuses.values())
    done, failed, runs = (sum(getattr(status, name) for status in everyone) for name in ("done", "failed", "runs"))
    guess = seconds_left([(status.worked, status.left, status.seconds) for status in everyone])
    return Screen(COLUMNS, tuple(rows), summary(done, failed, runs, guess))


def seconds_left(workers: Sequence[tuple[float, float, float]]) -> float | None:
    """Estimate when the last of several workers ends; each is its work done, its work left and the seconds spent.

    One that has done nothing yet is taken to be as fast as the others on average. None where nobody has done enough.
    """
    speeds = [worked / seconds for worked, _, seconds in workers if worked > 0 and seconds >= FIRST_GUESS]
    if not speeds:
        return None
    # The slowest worker's end is the sweep's: work that was divided is not divided again.
    average = sum(speeds) / len(speeds)
    return max(
        left / (worked / seconds if worked > 0 and seconds >= FIRST_GUESS else average)
        for worked, left, seconds in workers
    )


def summary(done: int, failed: int, runs: int, seconds: float | None) -> str:
    """How far a sweep is, in words; `seconds` are left, None where that cannot be told."""
    guess = f"; {in_words(seconds, GUESSED)} left" if seconds is not None and runs > done + failed else ""
    return f"{done} done, {failed} failed, {runs - done - failed} left{guess}"


def _range(losses: tuple[float, float] | None) -> str:
    if losses is None:
        return ""
    low, high = (f"{loss:.3f}" for loss in losses)
    return low if low == high else f"{low} to {high}"


@dataclass
class Board:
    """Shows screens, at most so often as is useful; a context manager, whose `show` is cheap to call often.

    Where it is `live` it draws on a terminal, and whatever else is to appear there has to go through `say`.
    """

    console: Console = field(default_factory=lambda: Console(stderr=True))
    shown: float = 0.0
    _live: Live | None = None

    @property
    def live(self) -> bool:
        """Whether this is a terminal that can be drawn on."""
        return self.console.file.isatty() and not self.console.is_dumb_terminal

    def __enter__(self) -> Board:
        self.shown = time.monotonic() - (
            LIVE_SECONDS if self.live else 0.0
        )  # the first plain line comes after a minute
        if self.live:
            self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
            # rich hides the cursor; a process that is killed could not show it again.
            self.console.show_cursor(True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, make: Callable[[], Screen]) -> None:
        """Draw what `make` returns, or print it as a line, unless it is too early for that."""
        now = time.monotonic()
        # `make` is a function, since most calls come too early and words would be made for nothing.
        if now - self.shown < (PLAIN_SECONDS if self._live is None else LIVE_SECONDS):
            return
        self.shown = now
        if self._live is not None:
            self._live.update(make().table(), refresh=True)
        else:
            print(make().line(), file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print somebody else's line on the terminal, above the table."""
        self.console.print(Text.from_ansi(line), soft_wrap=True)
