"""How far one process is: it counts its runs, measures the cohort it trains, and reports both to whoever shows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from peftcli.experiment.run import Run
from peftcli.runner.display import Status

if TYPE_CHECKING:
    from peftcli.engine.cohort import Cohort
    from peftcli.engine.state import State
    from peftcli.runner.work import WorkUnit

LONGEST = 300  # characters of what is running: a report must stay shorter than a pipe writes at once


@dataclass
class Progress:
    """Reports a process's `status`, at most once in `every` seconds while a cohort trains. `cost` is of a cohort."""

    status: Status
    cost: Callable[[Sequence[Run]], float]
    report: Callable[[Status], None]
    every: float
    began: float  # time.monotonic
    _reported: float = 0.0
    _cost: float = 0.0  # of the cohort in training
    _share: float = 0.0  # of that cohort's steps, those trained by this process
    _first: tuple[float, int] | None = None  # when this process saw the cohort's first update, and its step

    def begin(self, cohort: Sequence[Run]) -> None:
        """Note that a cohort starts; it is loaded first, so that no update comes for a while."""
        self._first, self._share, self._cost = None, 0.0, self.cost(cohort)
        more = f" and {len(cohort) - 1} more" if len(cohort) > 1 else ""
        self.status = replace(self.status, running=f"{cohort[0].describe()[:LONGEST]}{more}")
        self._report(self.status)

    def watch(self, cohort: Cohort, state: State) -> None:
        """Note an update; cheap to call often."""
        now = time.monotonic()
        # A cohort may go on from a checkpoint: what an earlier process trained says nothing of this one's speed.
        since, first = self._first = self._first or (now, state.step)
        self._share = (state.step - first + 1) / cohort.total
        if now - self._reported < self.every:
            return
        losses = [history.training[-1]["loss"] for history in state.histories if history.training]
        # Reported, not kept: `self.status` counts whole cohorts, and `end` adds this one to it.
        status = self.status
        self._report(
            replace(
                status,
                step=state.step,
                steps=cohort.total,
                losses=(min(losses), max(losses)) if losses else None,
                rate=(state.step - first) / (now - since) if state.step > first else None,
                worked=status.worked + self._cost * self._share,
                left=max(0.0, status.left - self._cost * state.step / cohort.total),
            )
        )

    def end(self, statuses: Iterable[str]) -> None:
        """Count a cohort's ended runs, by the status of their records."""
        ended = list(statuses)
        done = sum(status == "completed" for status in ended)
        before = self.status
        self.status = replace(
            before,
            running="",
            done=before.done + done,
            failed=before.failed + len(ended) - done,
            worked=before.worked + self._cost * self._share,
            left=max(0.0, before.left - self._cost),
        )
        self._report(self.status)

    def _report(self, status: Status) -> None:
        self._reported = time.monotonic()
        self.report(replace(status, seconds=self._reported - self.began))


def start(
    unit: WorkUnit, cost: Callable[[Sequence[Run]], float], report: Callable[[Status], None], every: float
) -> Progress:
    """The progress of a unit that is about to be trained."""
    left = sum(cost(cohort) for cohort in unit.wanted_cohorts)
    return Progress(Status(runs=len(unit.wanted), left=left), cost, report, every, time.monotonic())
