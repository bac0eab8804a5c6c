"""Tracking runs with other libraries: each tracker that `--track` names is told what the records of the runs will hold."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError, unknown
from peftcli.experiment.run import Run
from peftcli.runner.trackers import story
from peftcli.runner.trackers.follower import Follower
from peftcli.runner.trackers.news import Counts, News
from peftcli.runner.trackers.story import End

if TYPE_CHECKING:
    from peftcli.engine.cohort import Cohort
    from peftcli.engine.state import History, State
    from peftcli.records import Record
    from peftcli.runner.work import SweepSettings

TRACKERS = ("wandb", "mlflow", "trackio", "tensorboard")
SECONDS = 1.0  # between two tellings of a cohort: what is new meanwhile is told together
PATIENCE = 60.0  # seconds that the end of a process waits for its trackers
SHORT = 2.0  # the same, where it is stopped or has to be started again


def check(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the trackers that `--track` asks for, each once; commas may join several. Raises UserError.

    Each must be one of TRACKERS, and installed.
    """
    names = tuple(dict.fromkeys(name.strip() for text in asked for name in text.split(",")))
    for name in names:
        if name not in TRACKERS:
            raise unknown("value of --track", name, TRACKERS)
        # Looked for, not imported: that takes seconds. A folder `wandb` in the working folder is a package without an origin.
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise UserError(f"--track {name} needs the package {name}: pip install 'peftcli[{name}]'")
    return names


@dataclass
class Tracking:
    """What a process tells its trackers. `told` counts by run what they were told of; nothing here waits for them."""

    settings: SweepSettings
    followers: Sequence[Follower]
    told: dict[str, Counts] = field(default_factory=dict)
    histories: Sequence[tuple[Run, History]] = ()  # of the cohort in training; no tensors, which would outlive it
    _last: float = 0.0  # time.monotonic of the last telling

    def begin(self, wanted: Sequence[Run]) -> None:
        """Note whose runs a cohort is to train: their histories are told from the start, for who missed it."""
        self.told, self.histories = {run.id: Counts() for run in wanted}, ()

    def watch(self, cohort: Cohort, state: State) -> None:
        """Note an update; cheap to call often."""
        if self.followers:
            self.histories = list(zip(cohort.runs, state.histories, strict=True))
            if time.monotonic() - self._last >= SECONDS:
                self._tell_new()

    def end(self, recorded: Sequence[Record]) -> None:
        """Tell the rest of runs that have a record, from that: it has every number, and what they cost."""
        self.histories = ()
        for record in recorded:
            body: Any = record.body
            self._tell(record.run, body["training"], body["evaluations"], story.end(body))

    def close(self, patience: float) -> None:
        """Tell what is not told of runs that have no record yet, and wait for the trackers."""
        self._tell_new()
        for follower in self.followers:
            follower.finish()
        until = time.monotonic() + patience  # for all of them together
        for follower in self.followers:
            follower.wait(until - time.monotonic())

    def _tell_new(self) -> None:
        self._last = time.monotonic()
        for run, history in self.histories:
            counts = Counts(len(history.training), len(history.evaluations))
            if run.id in self.told and self.told[run.id] != counts:
                self._tell(run, history.training, history.evaluations)

    def _tell(self, run: Run, training: Sequence[Any], evaluations: Sequence[Any], end: End | None = None) -> None:
        before = self.told.get(run.id, Counts())
        news = News(
            story.story(run, self.settings.recipe, self.settings.output),
            before,
            [story.training_point(entry) for entry in training[before.training :]],
            [story.evaluation_point(entry) for entry in evaluations[before.evaluations :]],
            end,
        )
        self.told[run.id] = news.upto
        for follower in self.followers:
            follower.tell(news)


@contextlib.contextmanager
def following(settings: SweepSettings) -> Iterator[Tracking]:
    """A context in which a process tells its trackers, if it has any; in a group of processes the first one does."""
    from peftcli.engine import parallel

    names = settings.track if parallel.rank() == 0 else ()
    tracking = Tracking(settings, [Follower(name, settings.output) for name in names])
    patience = SHORT
    try:
        yield tracking
        patience = PATIENCE
    finally:
        tracking.close(patience)
