"""The screen of a sweep: a live table on a terminal, else a plain line a minute. All of it on stderr. No torch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

LIVE_SECONDS, PLAIN_SECONDS = 0.25, 60.0  # between two drawings, two lines
WIDE = "running"  # the column that gives way where the terminal is narrow


@dataclass(frozen=True)
class Screen:
    """What there is to show: a row for each worker, its cells under `columns`, and a line on all of them together."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    summary: str

    def line(self) -> str:
        """Word it as one line."""
        workers = (", ".join(f"{column} {cell}" for column, cell in self._filled(row)) for row in self.rows)
        return " | ".join([self.summary, *workers])

    def table(self) -> Group:
        """Lay it out for a terminal."""
        table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
        for column in self.columns:
            wide = column == WIDE
            table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=1 if wide else None)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return Group(table, Text(self.summary, style="bold"))

    def _filled(self, row: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(column, cell) for column, cell in zip(self.columns, row, strict=True) if cell]


@dataclass
class Board:
    """Shows screens as often as may be, no more: use as a context, `show` is cheap to call often.

    `live` says whether it draws on a terminal; then whatever else goes there must be given to `say`.
    """

    console: Console = field(default_factory=lambda: Console(stderr=True))
    shown: float = 0.0
    _live: Live | None = None

    @property
    def live(self) -> bool:
        """Whether this is a terminal that can be drawn on."""
        return self.console.file.isatty() and not self.console.is_dumb_terminal

    def __enter__(self) -> Board:
        self.shown = time.monotonic() - (LIVE_SECONDS if self.live else 0.0)  # the first plain line after a minute
        if self.live:
            self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
            self.console.show_cursor(True)  # a process that is ended at once leaves a terminal that can be used
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, make: Callable[[], Screen]) -> None:
        """Draw what `make` gives, or print it as a line, unless it is too early for that."""
        now = time.monotonic()
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
