"""Runs in Weights & Biases: a project a recipe, a group a strategy, and the record's id as the run's, by which it goes on."""

import os
import re
from collections.abc import Sequence

import wandb
from accelerate.tracking import WandBTracker

from peftcli.runner.trackers.story import End, Point, Story

LONGEST = 128  # characters of a project's name
# Silent also means that it never asks for a login on the terminal, which would wait for an answer. Of the output and the
# machine's load, which it would watch in threads, nothing is one run's alone where several train together.
QUIET = {"silent": True, "console": "off", "x_disable_stats": True, "save_code": False}


class WandbRun(WandBTracker):  # type: ignore[misc]
    """One run; several of them are open at once."""

    anew = False

    def __init__(self, story: Story) -> None:
        project = os.environ.get("WANDB_PROJECT") or re.sub(r"[/\\#?%:]", "-", story.recipe)[:LONGEST]
        super().__init__(
            project, id=story.id, name=story.name, group=story.group, config=dict(story.settings), resume="allow",
            reinit="create_new", settings=wandb.Settings(**QUIET),
        )  # fmt: skip
        self.start()
        # Its own count of steps only rises, and skips what comes late: curves are drawn over ours.
        self.run.define_metric("step", hidden=True)
        self.run.define_metric("*", step_metric="step")

    def write(self, points: Sequence[Point]) -> None:
        """Add numbers to the curves."""
        for step, numbers in points:
            self.log({**numbers, "step": step})

    def end(self, end: End | None) -> None:
        """Finish the run: its cost is no curve, and stands in the summary."""
        if end is not None:
            self.run.summary.update({"status": end.status, **end.numbers})
        self.run.finish(exit_code=0 if end is not None and end.status == "completed" else 1)


def start(story: Story) -> WandbRun:
    """Start a tracked run, or go on with it."""
    return WandbRun(story)


def finish() -> None:
    """Wait until all is written: the library writes in a process of its own, which may still be at it when a run has ended."""
    wandb.teardown()
