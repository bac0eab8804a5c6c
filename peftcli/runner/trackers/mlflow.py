"""Runs in MLflow: an experiment a recipe; strategy, task and the record's id are tags, by the last of which a run goes on."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from accelerate.tracking import MLflowTracker
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from peftcli.runner.trackers.story import End, Point, Story

RECORD = "peftcli.record"
BATCH = 100  # values of a request: as many parameters as it takes, and far fewer metrics
LONGEST = 6000  # characters of a parameter
STATUS = {"completed": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


class MlflowRun(MLflowTracker):  # type: ignore[misc]
    """One run of several that are open at once, where accelerate's tracker writes into the one that is active.

    So what that one asks of MLflow's active run is asked of its client, by the run's id.
    """

    anew = False

    def __init__(self, story: Story) -> None:
        super().__init__(experiment_name=story.recipe, run_name=story.name)
        self.client = MlflowClient()
        self.story = story
        self.start()

    def start(self) -> None:
        """Start the run, or go on with the one that has the record's id."""
        experiment = self._experiment()
        same = self.client.search_runs([experiment], f"tags.`{RECORD}` = '{self.story.id}'", max_results=1)
        if same:
            self.run_id = same[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            return
        settings = self.story.settings
        tags = {RECORD: self.story.id, "recipe": self.story.recipe, "strategy": self.story.group}
        tags["task"] = str(settings["task"])
        run = self.client.create_run(experiment, run_name=self.run_name, tags={**(self.tags or {}), **tags})
        self.run_id = run.info.run_id
        params = iter([Param(name, str(value)[:LONGEST]) for name, value in settings.items()])
        for batch in _batches(params):
            self.client.log_batch(self.run_id, params=batch)

    def write(self, points: Sequence[Point]) -> None:
        """Add numbers to the curves, many in one request."""
        now = int(time.time() * 1000)
        metrics = (Metric(name, value, now, step) for step, numbers in points for name, value in numbers.items())
        for batch in _batches(metrics, 5 * BATCH):
            self.client.log_batch(self.run_id, metrics=batch)

    def end(self, end: End | None) -> None:
        """Finish the run; one that stopped is KILLED until it goes on."""
        if end is not None:
            self.write([(end.step, dict(end.numbers))])
            self.client.log_batch(self.run_id, tags=[RunTag("status", end.status)])
        self.client.set_terminated(self.run_id, "KILLED" if end is None else STATUS[end.status])

    def _experiment(self) -> str:
        """The experiment's id; it is made where it is not there yet."""
        experiment = self.client.get_experiment_by_name(self.experiment_name)
        if experiment is None:
            try:
                return str(self.client.create_experiment(self.experiment_name))
            except MlflowException:  # another process of the sweep may have been first
                experiment = self.client.get_experiment_by_name(self.experiment_name)
                if experiment is None:
                    raise
        return str(experiment.experiment_id)


def start(story: Story) -> MlflowRun:
    """Start a tracked run, or go on with it."""
    return MlflowRun(story)


def finish() -> None:
    """Return at once: what a run's end leaves is written."""


def _batches(values: Iterator[Any], size: int = BATCH) -> Iterator[list[Any]]:
    while batch := list(islice(values, size)):
        yield batch
