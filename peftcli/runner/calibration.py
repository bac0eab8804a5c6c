"""Timing a few steps of every kind of cohort, to tell what a sweep will take before it is started."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from peftcli.data.examples import Examples
from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.evaluation import measure, score
from peftcli.engine.state import State
from peftcli.experiment.run import Run
from peftcli.runner.cohort import assemble, load
from peftcli.runner.costs import free_memory, out_of_memory
from peftcli.runner.work import SweepSettings, WorkUnit

WARM_STEPS = 2  # not timed: the first steps allocate
SECONDS = 3.0  # about so long is timed, within these numbers of steps
STEPS = (5, 40)
EXAMPLES = 512  # of a split, evenly spaced over it


@dataclass(frozen=True)
class Timing:
    """What one cohort of a kind takes: `start` once, `step` and `evaluation` `steps` and `evaluations` times, in seconds.

    `alike` is what the runs of the kind have in common: all but learning rate and seed. `cohorts` of the kind are left,
    of `runs` runs each. Early stopping is not counted on, so this is the most it takes.
    """

    name: str
    alike: str
    cohorts: int
    runs: int
    start: float
    step: float
    steps: int
    evaluation: float
    evaluations: int

    @property
    def seconds(self) -> float:
        """What one cohort takes in all."""
        return self.start + self.steps * self.step + self.evaluations * self.evaluation


@dataclass(frozen=True)
class Calibration:
    """The timings of all kinds of cohorts, and what starting a process takes, in seconds of processor time.

    `too_large` names the kinds of which not even one run fits into memory: they are not timed.
    """

    timings: list[Timing]
    process_start: float
    too_large: list[str]


def calibrate(unit: WorkUnit, settings: SweepSettings) -> Calibration:
    """Time every kind of cohort that is wanted, cheap and costly.

    A kind is what the cohorts' runs have in common, and their number. Trains a few steps of each and keeps nothing. Where
    memory runs out, what is not timed yet is cut as a sweep would cut it. Raises UserError where model or data cannot be had.
    """
    timings, process_start, too_large = list[Timing](), 0.0, list[str]()
    waiting = _kinds(unit.wanted_cohorts)
    while waiting:
        alike = waiting.pop(0)
        name, count, number = alike[0][0].describe(), len(alike[0]), len(timings) + len(too_large) + 1
        print(f"timing {number} of {number + len(waiting)}: {name}", file=sys.stderr, flush=True)
        try:
            if not process_start:
                # Imports, model and data are there from now on: a job pays for them once, a cohort does not.
                _gather(alike[0], settings)
                process_start = time.process_time()
            timings.append(_time(alike, settings))
            continue
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_memory()  # the error is gone by here, and with it what held the cohort's tensors
        half = (count + 1) // 2
        onward = f"going on with {half} run{'s' * (half > 1)} together" if count > 1 else "this kind is left out"
        print(f"out of memory with {count} run{'s' * (count > 1)} of {name}: {onward}", file=sys.stderr, flush=True)
        if count == 1:
            too_large.append(_name(alike[0]))
        else:
            parts = unit.cut(half, [cohort for kind in (alike, *waiting) for cohort in kind])
            waiting = _kinds(parts.wanted_cohorts)
    return Calibration(timings, process_start, too_large)


def _kinds(cohorts: Sequence[tuple[Run, ...]]) -> list[list[tuple[Run, ...]]]:
    """The cohorts, those of a kind together."""
    kinds: dict[tuple[str, int], list[tuple[Run, ...]]] = {}
    for cohort in cohorts:
        kinds.setdefault((cohort[0].cohort_key(), len(cohort)), []).append(cohort)
    return list(kinds.values())


def _name(cohort: Sequence[Run]) -> str:
    """What a kind of cohort is called: its task and strategy."""
    return cohort[0].describe().rpartition(" lr=")[0]


def fitting(timing: Timing, start: float, seconds: float) -> int:
    """How many cohorts of a kind, one after another, fit in a walltime of so many seconds; `start` is the process's."""
    return max(0, int((seconds - start) / timing.seconds))


def _time(alike: Sequence[tuple[Run, ...]], settings: SweepSettings) -> Timing:
    """Time the first of several cohorts of a kind."""
    began = time.perf_counter()
    cohort = _gather(alike[0], settings)
    state = training.begin(cohort)
    start = _now(cohort) - began
    for _ in range(min(WARM_STEPS, cohort.total - 1)):
        training.advance(cohort, state)
    step = _step(cohort, state)
    evaluations = len(cohort.schedules[0].evaluations) + bool(cohort.data[0].at_end)
    return Timing(
        name=_name(alike[0]),
        alike=alike[0][0].cohort_key(),
        cohorts=len(alike),
        runs=len(alike[0]),
        start=start,
        step=step,
        steps=cohort.total,
        evaluation=_evaluation(cohort, state),
        evaluations=evaluations,
    )


def _gather(runs: Sequence[Run], settings: SweepSettings) -> Cohort:
    return assemble(runs, load(runs, settings), settings)


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
    """Seconds for one evaluation of all splits that are evaluated during training; 0 where there are none."""
    seconds = 0.0
    for name in cohort.data[0].evaluation:
        if name in cohort.data[0].at_end:
            continue
        splits = [data.evaluation[name] for data in cohort.data]  # one a run
        samples = [_sample(split) for split in splits]
        _score(cohort, state, [split.take(np.arange(1)) for split in splits])  # what the first one imports
        began = _now(cohort)
        _score(cohort, state, samples)
        # By tokens, which evaluation's time follows, since sequences are laid end to end without padding.
        share = sum(int(split.starts[-1]) for split in samples) / sum(int(split.starts[-1]) for split in splits)
        seconds += (_now(cohort) - began) / share
    return seconds


def _score(cohort: Cohort, state: State, splits: Sequence[Examples]) -> None:
    data = cohort.data[0]
    forward = cohort.forward(state.flat.detach(), state.step)
    network = cohort.network
    scores = score(forward, splits, data.kind, network.reading, cohort.device, network.lookups)
    for scored, split in zip(scores, splits, strict=True):
        measure(scored, split, data.kind, data.metrics, data.labels)


def _sample(split: Examples) -> Examples:
    """At most `EXAMPLES` examples, evenly spaced: data sets are often sorted by length or source."""
    count = len(split)
    return split if count <= EXAMPLES else split.take(np.linspace(0, count - 1, EXAMPLES).astype(np.int64))


def _now(cohort: Cohort) -> float:
    """The time, once the device has done all it was asked for: a GPU works behind the program's back."""
    if cohort.device.type == "cuda":
        torch.cuda.synchronize(cohort.device)
    return time.perf_counter()
