"""A small recipe whose records say what their runs cost: scores, parameters, seconds, memory and bytes as a test wants."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.plan import Planned
from peftcli.report import figures
from peftcli.tasks import registry as tasks
from tests import written_records

STRATEGIES = ("layernorm", "bitfit", "full")
TRAINABLE = (9_000, 30_000, 22_000_000)
SCORES = (0.60, 0.65, 0.652)  # of each strategy; seeds are apart by SPREAD
SPREAD = (-0.004, 0.001, 0.003)


def score(planned: Planned) -> float:
    """A run's score, a fraction: by strategy and seed, a hundredth less on a second task."""
    return SCORES[planned.strategy] + SPREAD[planned.run.seed % 3] - 0.01 * planned.task


def cost(planned: Planned) -> dict[str, Any]:
    """What a run cost alone: seconds by strategy and seed."""
    return {
        "seconds": 10.0 * (planned.strategy + 1) + planned.run.seed,
        "steps": 10,
        "tokens": 1000,
        "peak_memory_bytes": 200_000_000 * (planned.strategy + 1),
        "delta_bytes": 4 * TRAINABLE[planned.strategy],
        "cohort": 1,
    }


def study(
    tmp_path: Path,
    score: Callable[[Planned], float | None] = score,
    cost: Callable[[Planned], dict[str, Any] | None] = cost,
    **changes: Any,
) -> figures.Study:
    """Write a record of every run that has a score, and read them as figures do."""
    written = {
        "title": "Costly", "model": "minilm", "tasks": ["rte"], "strategies": list(STRATEGIES),
        "learning_rates": [1e-3], "seeds": 3, **changes,
    }  # fmt: skip
    recipe = recipes.build(written, tmp_path / "costly.yaml", {})
    with written_records.unsynced():
        for planned in plan.expand(recipe):
            value = score(planned)
            if value is None:
                continue
            task = tasks.TASKS[planned.run.task]
            trainable = TRAINABLE[planned.strategy]
            written_records.write(
                tmp_path / "results",
                planned.run,
                {split: dict.fromkeys(task.metrics, value) for split in task.evaluation},
                parameters={**written_records.PARAMETERS, "trainable": trainable},
                cost=cost(planned),
            )
    return figures.study(recipe, tmp_path / "results")
