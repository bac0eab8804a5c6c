"""Runs in trackio: a project a recipe, a group a strategy; a run's name ends in its id, and by its name it goes on."""

import contextvars
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from accelerate.tracking import TrackioTracker

from peftcli.runner.trackers.story import End, Point, Story

_complaints: list[str] = []  # it raises nothing itself: what goes wrong in its threads is a warning


class TrackioRun(TrackioTracker):  # type: ignore[misc]
    """One run; several of them are open at once."""

    anew = False

    def __init__(self, story: Story) -> None:
        super().__init__(
            story.recipe.replace("/", "-"), name=story.name, group=story.group, config=dict(story.settings),
            resume="allow", embed=False, auto_log_cpu=False, auto_log_gpu=False,
        )  # fmt: skip
        # A run that starts ends the one before it, by a variable of the context: each starts in one of its own.
        contextvars.Context().run(self.start)

    def write(self, points: Sequence[Point]) -> None:
        """Add numbers to the curves."""
        for step, numbers in points:
            self.log(numbers, step=step)
        _raise()

    def end(self, end: End | None) -> None:
        """Finish the run; its cost is a point at its last step."""
        if end is not None:
            self.log(dict(end.numbers), step=end.step)
        self.finish()
        _raise()


def start(story: Story) -> TrackioRun:
    """Start a tracked run, or go on with it."""
    warnings.showwarning = _keep
    return TrackioRun(story)


def finish() -> None:
    """Return at once: what a run's end leaves is written."""


def _keep(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """Keep what trackio warns of, until the next call here can raise it."""
    if issubclass(category, UserWarning) and Path(filename).parent.name == "trackio":
        _complaints.append(str(message))


def _raise() -> None:
    if _complaints:
        raise OSError(_complaints[0])
