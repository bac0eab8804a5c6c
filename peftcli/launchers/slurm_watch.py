"""What is shown of a cluster's jobs while somebody waits for them: what the queue says, and the records. No torch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field

from peftcli.experiment.run import Run
from peftcli.launchers import slurm_queue as queue
from peftcli.launchers.slurm_queue import Job, Submission
from peftcli.launchers.tally import Tally
from peftcli.runner.display import Screen
from peftcli.runner.status import seconds_left, summary

COLUMNS = ("job", "state", "node", "running", "left")


@dataclass
class View:
    """The jobs of a submission, as they are seen from outside. `cost` is of a cohort, as for the shares."""

    submission: Submission
    tally: Tally
    cost: InitVar[Callable[[Sequence[Run]], float]]
    costs: dict[str, float] = field(init=False)  # by run
    since: dict[int, float] = field(default_factory=dict)  # when a job was first seen at work

    def __post_init__(self, cost: Callable[[Sequence[Run]], float]) -> None:
        self.costs = {run.id: cost([run]) for run in self.tally.runs}

    def screen(self, jobs: Mapping[tuple[str, int], Job]) -> Screen:
        """Word what the queue says of the jobs; those it does not name are over."""
        left = {run.id: run for run in self.tally.left(self.tally.runs)}
        rows, works = [], []
        for number, share in enumerate(self.submission.shares):
            job = jobs.get((self.submission.job, number))
            rows.append(self._row(number, share, left, job))
            works.append(self._work(number, share, left, job))
        done, failed = self.tally.counts()
        return Screen(COLUMNS, tuple(rows), summary(done, failed, len(self.tally.runs), seconds_left(works)))

    def _row(self, number: int, share: list[list[str]], left: Mapping[str, Run], job: Job | None) -> tuple[str, ...]:
        ids = [own for cohort in share for own in cohort]
        waiting = f"{sum(own in left for own in ids)} of {len(ids)}"
        name = f"{self.submission.job}_{number}"
        if job is None:
            return (name, "OVER", "", "", waiting)
        states = queue.states_of(share, set(left), job, self.submission.at_once)
        working = [left[own] for own, state in states.items() if state == "running"]
        more = f" and {len(working) - 1} more" if len(working) > 1 else ""
        return (name, job.state, job.node, f"{working[0].describe()}{more}" if working else "", waiting)

    def _work(
        self, number: int, share: list[list[str]], left: Mapping[str, Run], job: Job | None
    ) -> tuple[float, float, float]:
        """A job's work done, its work left and the seconds since it was first seen at work."""
        if job is not None and job.state == "RUNNING":
            self.since.setdefault(number, time.monotonic())
        ids = {own for cohort in share for own in cohort}
        todo = sum(self.costs[own] for own in ids if own in left) if job is not None else 0.0
        done = sum(self.costs[own] for own in ids if own not in left)
        return done, todo, time.monotonic() - self.since.get(number, time.monotonic())
