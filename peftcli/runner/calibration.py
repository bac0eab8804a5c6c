"""Timing a few steps of every kind of cohort, to tell what a sweep will take before it is started."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from peftcli.data.examples import Examples
from peftcli.data.loading import prepare
from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.evaluation import measure, score
from peftcli.engine.training import State
from peftcli.experiment.run import Run
from peftcli.runner.cohort import ready
from peftcli.runner.work import SweepSettings

WARM_STEPS = 2  # not timed: the first steps allocate
SECONDS = 3.0  # about so long is timed, within these numbers of steps
STEPS = (5, 40)
EXAMPLES = 512  # of a split, evenly spaced over it


@dataclass(frozen=True)
class Timing:
    """What one cohort of a kind takes: `start`, `step` and `evaluation` in seconds, each `steps` and `evaluations` times.

    `cohorts` of the kind are left, of `runs` runs each. Early stopping is not counted on, so this is the most it takes.
    """

    name: str
    cohorts: int
    runs: int
    start: float
    step: float
    steps: int
    evaluation: float
    evaluations: int

    @property
    def seconds(self) -> float:
        """What one cohort takes."""
        return self.start + self.steps * self.step + self.evaluations * self.evaluation


def calibrate(cohorts: Sequence[tuple[Run, ...]], settings: SweepSettings) -> tuple[list[Timing], float]:
    """Time every kind of cohort (company and size), the costly ones with the cheap; gives what starting a process takes too.

    Trains a few steps of each and keeps nothing. Raises UserError where model or data cannot be had.
    """
    kinds: dict[tuple[str, int], list[tuple[Run, ...]]] = {}
    for cohort in cohorts:
        kinds.setdefault((cohort[0].cohort_key(), len(cohort)), []).append(cohort)
    timings, started = [], 0.0
    for number, alike in enumerate(kinds.values()):
        print(f"timing {number + 1} of {len(kinds)}: {alike[0][0].describe()}", file=sys.stderr, flush=True)
        if not number:
            _gather(alike[0], settings)  # loads model and data for all that follow
            started = time.process_time()
        timings.append(_time(alike, settings))
    return timings, started


def fitting(timing: Timing, start: float, seconds: float) -> int:
    """How many cohorts of a kind, one after another, fit in a walltime of so many seconds."""
    return max(0, int((seconds - start) / timing.seconds))


def _time(alike: Sequence[tuple[Run, ...]], settings: SweepSettings) -> Timing:
    began = time.perf_counter()
    cohort = _gather(alike[0], settings)
    state = training.begin(cohort)
    start = _now(cohort) - began
    for _ in range(min(WARM_STEPS, cohort.total - 1)):
        training.advance(cohort, state)
    step = _step(cohort, state)
    own = cohort.schedules[0]
    more = any(name.startswith("test") for name in cohort.data[0].evaluation)
    first = alike[0][0]
    name = first.describe().rpartition(" lr=")[0]
    evaluations = len(own.evaluations) + more
    return Timing(name, len(alike), len(alike[0]), start, step, cohort.total, _evaluation(cohort, state), evaluations)


def _gather(runs: Sequence[Run], settings: SweepSettings) -> Cohort:
    return ready(
        runs, [prepare(run, settings.model, settings.source(run), settings.allow_other_data) for run in runs], settings
    )


def _step(cohort: Cohort, state: State) -> float:
    """Seconds a step, over steps that last about `SECONDS` together."""
    began, count = _now(cohort), 0
    while state.step < cohort.total and count < STEPS[1]:
        training.advance(cohort, state)
        count += 1
        if count >= STEPS[0] and _now(cohort) - began >= SECONDS:
            break
    return (_now(cohort) - began) / max(1, count)


def _evaluation(cohort: Cohort, state: State) -> float:
    """Seconds for one evaluation of all splits that are evaluated during training (where there are none, of none)."""
    seconds = 0.0
    for name in cohort.data[0].evaluation:
        if name.startswith("test"):
            continue
        whole = [own.evaluation[name] for own in cohort.data]
        sample = [_sample(split) for split in whole]
        _score(cohort, state, [split.take(np.arange(1)) for split in whole])  # what the first one imports
        began = _now(cohort)
        _score(cohort, state, sample)
        share = sum(int(split.starts[-1]) for split in sample) / sum(int(split.starts[-1]) for split in whole)
        seconds += (_now(cohort) - began) / share
    return seconds


def _score(cohort: Cohort, state: State, splits: Sequence[Examples]) -> None:
    own = cohort.data[0]
    forward = cohort.forward(state.flat.detach(), state.step)
    found = score(forward, splits, own.kind, cohort.network.first_position, cohort.device)
    for scored, split in zip(found, splits, strict=True):
        measure(scored, split, own.kind, own.metrics, own.labels)


def _sample(split: Examples) -> Examples:
    count = len(split)
    return split if count <= EXAMPLES else split.take(np.linspace(0, count - 1, EXAMPLES).astype(np.int64))


def _now(cohort: Cohort) -> float:
    if cohort.device.type == "cuda":
        torch.cuda.synchronize(cohort.device)
    return time.perf_counter()
