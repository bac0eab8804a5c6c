"""What is shown while runs train: a live line on a terminal, else a plain line a minute. All of it on stderr."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from peftcli.engine.cohort import Cohort
    from peftcli.engine.training import State

PLAIN_SECONDS = 60.0


@dataclass
class Progress:
    """Counts a sweep's runs and shows the cohort in training. Use as a context; `watch` is called after every update."""

    total: int
    done: int = 0
    failed: int = 0
    trained: int = 0
    started: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _began: tuple[float, int] | None = None  # when the cohort's first step was seen, and which it was
    _live: Live | None = None

    def __enter__(self) -> Progress:
        console = Console(stderr=True)
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self) -> None:
        """Say that a cohort starts."""
        self._began, self._shown = None, self._shown or time.monotonic()

    def end(self, statuses: list[str]) -> None:
        """Count a cohort's ended runs."""
        self.trained += len(statuses)
        self.done += sum(status == "completed" for status in statuses)
        self.failed += sum(status != "completed" for status in statuses)

    def watch(self, cohort: Cohort, state: State) -> None:
        """Show a cohort after an update; cheap to call often."""
        now = time.monotonic()
        self._began = self._began or (now, state.step)
        if self._live is None and now - self._shown < PLAIN_SECONDS:
            return
        if self._live is not None and now - self._shown < 0.25:
            return
        self._shown = now
        line = self._line(cohort, state, now)
        if self._live is not None:
            self._live.update(Text(line))
        else:
            print(line, file=sys.stderr, flush=True)

    def _line(self, cohort: Cohort, state: State, now: float) -> str:
        first, more = cohort.runs[0], len(cohort.runs) - 1
        losses = [history.training[-1]["loss"] for history in state.histories if history.training]
        loss = f"loss {min(losses):.3f}" + (f" to {max(losses):.3f}" if more and losses else "") if losses else "loss -"
        since, first_step = self._began or (now, state.step)
        rate = (state.step - first_step) / max(1e-9, now - since)
        left = self.total - self.done - self.failed
        return (
            f"{first.describe()}{f' and {more} more' if more else ''} | step {state.step}/{cohort.total} | {loss} | "
            f"{rate:.1f} steps/s | {self.done} done, {self.failed} failed, {left} left{self._time_left(now, left)}"
        )

    def _time_left(self, now: float, left: int) -> str:
        if not self.trained:
            return ""
        seconds = (now - self.started) / self.trained * left
        return f" | about {seconds / 60:.0f} min" if seconds >= 90 else f" | about {seconds:.0f} s"
