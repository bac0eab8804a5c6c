"""Curves of runs for TensorBoard, written from their histories while they train, through accelerate's tracker."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli import records
from peftcli.errors import UserError, unknown
from peftcli.experiment.run import Run

if TYPE_CHECKING:
    from peftcli.engine.state import History, State

TRACKERS = ("tensorboard",)
FOLDER = ".tensorboard"
HIDDEN = ("step", "epoch", "split", "collapsed")  # of an evaluation's entry: no curves


def check(tracker: str | None) -> None:
    """Check that a tracker exists and is installed; None stands for none. Raises UserError."""
    if tracker is not None and tracker not in TRACKERS:
        raise unknown("value of --track", tracker, TRACKERS)
    # Looked for, not imported: that takes a second, and is done where the first curve is written.
    if tracker is not None and find_spec(tracker) is None:
        raise UserError(f"--track {tracker} needs the package {tracker}: pip install 'peftcli[{tracker}]'")


def folder(output: Path, run: Run) -> Path:
    """Where a run's curves lie: output/.tensorboard/<task>/<strategy>-lr<rate>-seed<seed>-<id>."""
    record = records.path(output / FOLDER, run)
    strategy = record.stem.removesuffix(f"-{run.id}")
    return record.with_name(f"{strategy}-lr{run.learning_rate:g}-seed{run.seed}-{run.id}")


@contextlib.contextmanager
def curves(output: Path, runs: Sequence[Run], wanted: Sequence[Run]) -> Iterator[Callable[[State], None]]:
    """A function that adds to the curves of the `wanted` runs of a cohort whatever is new in their histories.

    What an earlier process wrote of them is replaced: a history has it all, and each step is in one file only. In a
    group of processes the first one writes.
    """
    from peftcli.engine import parallel

    with contextlib.ExitStack() as stack:
        by_row: dict[int, _Curves] = {}
        for row, run in enumerate(runs):
            if run in wanted and parallel.rank() == 0:
                by_row[row] = _Curves(folder(output, run), run)
                stack.callback(by_row[row].close)

        def write(state: State) -> None:
            for row, run_curves in by_row.items():
                run_curves.write(state.histories[row])

        yield write


@dataclass
class _Curves:
    """One run's curves. `training` and `evaluations` count the history's entries that are written.

    A disk that fails ends the curves, not the run.
    """

    folder: Path
    run: Run
    training: int = 0
    evaluations: int = 0
    tracker: Any = None
    lost: bool = False

    def write(self, history: History) -> None:
        """Add what is new in the run's history."""
        if self.lost or (self.training, self.evaluations) == (len(history.training), len(history.evaluations)):
            return
        try:
            self.tracker = self.tracker or _open(self.folder, self.run)
            for entry in history.training[self.training :]:
                numbers = {key: value for key, value in entry.items() if key not in HIDDEN}
                self._log("train", numbers, entry["step"])
            for entry in history.evaluations[self.evaluations :]:
                numbers = {key: value for key, value in entry.items() if key not in HIDDEN}
                self._log(entry["split"], numbers, entry["step"])
        except OSError as error:
            self.lost = True
            print(f"no more curves of {self.run.describe()}: {error.strerror} in {self.folder}", file=sys.stderr)
        self.training, self.evaluations = len(history.training), len(history.evaluations)

    def close(self) -> None:
        """Close the file. What could not be written is lost without a word: `write` has said so already."""
        if self.tracker is not None:
            with contextlib.suppress(OSError):
                self.tracker.finish()

    def _log(self, split: str, numbers: dict[str, float], step: int) -> None:
        self.tracker.log({f"{split}/{name}": number for name, number in numbers.items()}, step=step)


def _open(folder: Path, run: Run) -> Any:
    """Start a run's curves anew, in place of what an earlier process wrote."""
    from accelerate import PartialState
    from accelerate.tracking import TensorBoardTracker

    for file in folder.glob("events.out.tfevents.*"):
        file.unlink()
    # The tracker asks accelerate which process it is in. This makes it a single one on the processor, unless a group
    # was joined before (`engine.parallel`), which then stays.
    PartialState(cpu=True)
    tracker = TensorBoardTracker(folder.name, folder.parent)
    tracker.start()
    tracker.log({"run": run.describe()}, step=0)
    return tracker
