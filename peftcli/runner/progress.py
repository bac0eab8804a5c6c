"""How far one process is: counts its runs, measures its cohort in training, and tells whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from peftcli.experiment.run import Run
from peftcli.runner.status import Status

if TYPE_CHECKING:
    from peftcli.engine.cohort import Cohort
    from peftcli.engine.training import State
    from peftcli.runner.work import WorkUnit

LONGEST = 300  # characters of what is running: a telling is one short line


@dataclass
class Progress:
    """Tells a process's `status`, at most once in `every` seconds while a cohort trains. `cost` is of a cohort."""

    status: Status
    cost: Callable[[Sequence[Run]], float]
    tell: Callable[[Status], None]
    every: float
    began: float
    _told: float = 0.0
    _cost: float = 0.0  # of the cohort in training
    _share: float = 0.0  # of it that was trained here
    _first: tuple[float, int] | None = None  # when its first update here was seen, and which one that was

    def begin(self, cohort: Sequence[Run]) -> None:
        """Say that a cohort starts: it is loaded first."""
        self._first, self._share, self._cost = None, 0.0, self.cost(cohort)
        more = f" and {len(cohort) - 1} more" if len(cohort) > 1 else ""
        self.status = replace(self.status, running=f"{cohort[0].describe()[:LONGEST]}{more}")
        self._tell(self.status)

    def watch(self, cohort: Cohort, state: State) -> None:
        """Note an update; cheap to call often."""
        now = time.monotonic()
        since, first = self._first = self._first or (now, state.step)
        self._share = (state.step - first + 1) / cohort.total
        if now - self._told >= self.every:
            rate = (state.step - first) / (now - since) if state.step > first else None
            self._tell(self._training(cohort, state, rate))

    def end(self, statuses: Iterable[str]) -> None:
        """Count a cohort's ended runs, by the status of their records."""
        ended = list(statuses)
        done, own = sum(status == "completed" for status in ended), self.status
        self.status = replace(
            own,
            running="",
            done=own.done + done,
            failed=own.failed + len(ended) - done,
            worked=own.worked + self._cost * self._share,
            left=max(0.0, own.left - self._cost),
        )
        self._tell(self.status)

    def _training(self, cohort: Cohort, state: State, rate: float | None) -> Status:
        """The status in the middle of a cohort, of which a part may have been trained by an earlier process."""
        own = self.status
        losses = [history.training[-1]["loss"] for history in state.histories if history.training]
        return replace(
            own,
            step=state.step,
            steps=cohort.total,
            losses=(min(losses), max(losses)) if losses else None,
            rate=rate,
            worked=own.worked + self._cost * self._share,
            left=max(0.0, own.left - self._cost * state.step / cohort.total),
        )

    def _tell(self, status: Status) -> None:
        self._told = time.monotonic()
        self.tell(replace(status, seconds=self._told - self.began))


def start(
    unit: WorkUnit, cost: Callable[[Sequence[Run]], float], tell: Callable[[Status], None], every: float
) -> Progress:
    """Make the progress of a unit that is about to be trained."""
    left = sum(cost(cohort) for cohort in unit.wanted_cohorts)
    return Progress(Status(runs=len(unit.wanted), left=left), cost, tell, every, time.monotonic())
