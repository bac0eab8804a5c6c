"""Runs for TensorBoard, in OUTPUT/.tensorboard; a run that goes on is written anew, so that each step is in one file once."""

from collections.abc import Sequence
from pathlib import Path

from accelerate.tracking import TensorBoardTracker

from peftcli.runner.trackers.story import End, Point, Story


class TensorBoardRun(TensorBoardTracker):  # type: ignore[misc]
    """One run."""

    anew = True

    def __init__(self, story: Story) -> None:
        folder = Path(story.folder)
        super().__init__(folder.name, folder.parent)
        for file in folder.glob("events.out.tfevents.*"):
            file.unlink()
        self.start()
        rows = [f"| {name} | {value} |" for name, value in story.settings.items()]
        self.log({"run": story.name, "settings": "\n".join(["| setting | value |", "| --- | --- |", *rows])}, step=0)

    def write(self, points: Sequence[Point]) -> None:
        """Add numbers to the curves."""
        for step, numbers in points:
            self.log(numbers, step=step)

    def end(self, end: End | None) -> None:
        """Close the file; the cost is a point at the last step."""
        if end is not None:
            self.log(dict(end.numbers), step=end.step)
        self.finish()


def start(story: Story) -> TensorBoardRun:
    """Start a run's file anew, in place of what an earlier process wrote."""
    return TensorBoardRun(story)


def finish() -> None:
    """Return at once: what a run's end leaves is written."""
