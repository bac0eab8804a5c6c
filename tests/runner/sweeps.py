"""A recipe swept in this process, with steps that fail, and what its records say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from peftcli import records
from peftcli.cli import sweep as command
from peftcli.engine import training
from peftcli.engine.cohort import Cohort
from peftcli.engine.training import State
from peftcli.experiment import plan
from peftcli.experiment.recipe import load
from peftcli.experiment.run import Run


def runs(recipe: Path) -> list[Run]:
    """The runs of a recipe."""
    return [planned.run for planned in plan.expand(load(recipe))]


def swept(recipe: Path, output: Path, size: int | None = 4, **changes: Any) -> int:
    """Sweep a recipe; returns the exit code."""
    return command.sweep(str(recipe), output, cohort=size, predictions=False, **changes)


def results(recipe: Path, output: Path) -> dict[float, list[Any]]:
    """By learning rate and seed: status, training and evaluations of every run."""
    found = [records.find(output, run) for run in runs(recipe)]
    return {
        (r.body["run"]["learning_rate"], r.body["run"]["seed"]): [r.status, r.body["training"], r.body["evaluations"]]
        for r in found if r is not None
    }  # fmt: skip


def failing(
    condition: Callable[[Cohort, State], bool], error: Callable[[], Exception]
) -> Callable[[Cohort, State], None]:
    """An update that raises an error under a condition, and is the engine's own otherwise."""
    own = training.advance

    def advance(cohort: Cohort, state: State) -> None:
        if condition(cohort, state):
            raise error()
        own(cohort, state)

    return advance


def has(seed: int, rate: float) -> Callable[[Cohort, State], bool]:
    """Whether the run of that seed and rate is in a cohort, at its fourth step."""

    def condition(cohort: Cohort, state: State) -> bool:
        return state.step == 3 and any(r.seed == seed and r.learning_rate == rate for r in cohort.runs)

    return condition
