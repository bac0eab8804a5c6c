"""What is shown of a cluster's jobs while the sweep waits for them, from the queue and the records alone. No torch."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path

from peftcli import records
from peftcli.experiment.run import Run
from peftcli.launchers import slurm_queue
from peftcli.launchers.slurm_queue import Job, Submission
from peftcli.runner.display import Screen, seconds_left, summary

COLUMNS = ("job", "state", "node", "running", "left")


@dataclass
class Tally:
    """Runs that a sweep waits for. A run has ended once its record is new: a failed run's earlier one does not count."""

    runs: Sequence[Run]
    output: Path
    before: dict[Path, int] = field(default_factory=dict)  # when each record was last written, as the sweep began
    statuses: dict[Path, str] = field(default_factory=dict)  # of the runs that have ended, as far as asked for

    def __post_init__(self) -> None:
        self.before = {path: _written(path) for path in (records.path(self.output, run) for run in self.runs)}

    def left(self, runs: Iterable[Run]) -> list[Run]:
        """Those of these runs that have not ended yet."""
        return [run for run in runs if self._waiting(records.path(self.output, run))]

    def counts(self) -> tuple[int, int]:
        """How many runs have completed, and how many have ended otherwise; each record is read once."""
        ended = [path for path in self.before if not self._waiting(path)]
        # Reading a record checks its checksum, which is too much to repeat for thousands every few seconds.
        self.statuses |= {path: _status(path) for path in ended if path not in self.statuses}
        done = sum(self.statuses[path] == "completed" for path in ended)
        return done, len(ended) - done

    def _waiting(self, path: Path) -> bool:
        return path in self.before and _written(path) == self.before[path]


@dataclass
class JobsView:
    """The jobs of a submission as seen from outside. `cost` is of a cohort, as the jobs were divided by it."""

    submission: Submission
    tally: Tally
    cost: InitVar[Callable[[Sequence[Run]], float]]
    costs: dict[str, float] = field(init=False)  # by run id
    since: dict[int, float] = field(default_factory=dict)  # when a job was first seen running, time.monotonic

    def __post_init__(self, cost: Callable[[Sequence[Run]], float]) -> None:
        self.costs = {run.id: cost([run]) for run in self.tally.runs}

    def screen(self, jobs: Mapping[tuple[str, int], Job]) -> Screen:
        """A row for every job, given those that the queue still has; a job it does not name is over."""
        left = {run.id: run for run in self.tally.left(self.tally.runs)}
        rows, work = [], []
        for number, cohorts in enumerate(self.submission.cohorts):
            job = jobs.get((self.submission.job, number))
            rows.append(self._row(number, cohorts, left, job))
            work.append(self._work(number, cohorts, left, job))
        done, failed = self.tally.counts()
        return Screen(COLUMNS, tuple(rows), summary(done, failed, len(self.tally.runs), seconds_left(work)))

    def _row(self, number: int, cohorts: list[list[str]], left: Mapping[str, Run], job: Job | None) -> tuple[str, ...]:
        ids = [run_id for cohort in cohorts for run_id in cohort]
        waiting = f"{sum(run_id in left for run_id in ids)} of {len(ids)}"
        name = f"{self.submission.job}_{number}"
        if job is None:
            return (name, "OVER", "", "", waiting)
        states = slurm_queue.states_of(cohorts, set(left), job, self.submission.at_once)
        training = [left[run_id] for run_id, state in states.items() if state == "running"]
        more = f" and {len(training) - 1} more" if len(training) > 1 else ""
        return (name, job.state, job.node, f"{training[0].describe()}{more}" if training else "", waiting)

    def _work(
        self, number: int, cohorts: list[list[str]], left: Mapping[str, Run], job: Job | None
    ) -> tuple[float, float, float]:
        """A job's work done, its work left (both in the unit of `cost`) and the seconds since it was first seen running."""
        now = time.monotonic()
        if job is not None and job.state == "RUNNING":
            self.since.setdefault(number, now)
        ids = {run_id for cohort in cohorts for run_id in cohort}
        done = sum(self.costs[run_id] for run_id in ids if run_id not in left)
        # A job that is over does nothing more, whatever it left undone: it must not hold up the guess.
        to_do = sum(self.costs[run_id] for run_id in ids if run_id in left) if job is not None else 0.0
        return done, to_do, now - self.since.get(number, now)


def _written(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _status(path: Path) -> str:
    try:
        return records.read(path).status
    except records.Unreadable:
        return "damaged"
