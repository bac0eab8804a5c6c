"""Records with predictions beside them, whose scores are what the predictions come to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from peftcli.records import beside
from peftcli.report.statistics import weighted
from peftcli.report.table import differences, over_examples, resampling, selection
from peftcli.report.table.resampling import OverExamples
from peftcli.tasks import registry as tasks
from tests.written_records import runs, tabulate, unsynced, write

ONE = {"learning_rates": [1e-3], "table": {"reference": "full"}}
LABELS = np.arange(120) % 2
QUALITY = {"full": 0.85, "layernorm": 0.7}
Array = Any
Answers = Callable[[Run, np.random.Generator], Array]  # a run's predictions: classes, or numbers


def keep(
    recipe: Recipe, output: Path, labels: Array, answers: Answers, lengths: Array | None = None, **wanted: Any
) -> None:
    """Write a record of every wanted run, and beside it what it answered on examples with these labels, on every split."""
    ids = np.arange(len(labels if lengths is None else lengths))
    ones = np.ones((len(ids), 1), dtype=np.float32)
    with unsynced():
        for run in runs(recipe, **wanted):
            answered = answers(run, np.random.default_rng([run.seed, len(run.strategy), len(run.task)]))
            task = tasks.TASKS[run.task]
            classes = answered.dtype.kind in "iu"
            logits = np.eye(len(task.labels), dtype=np.float16)[answered] if classes else answered.astype(np.float32)
            parts = {"logits": logits, "labels": labels, "numbers": ids} | (
                {} if lengths is None else {"lengths": lengths}
            )
            scores = {
                metric: float(weighted.scores(metric, [answered], labels, ones, lengths, task.labels)[0, 0])
                for metric in task.metrics
            }
            splits = [selection.reported_split(split, run.protocol) for split in task.evaluation]
            record = write(output, run, dict.fromkeys(splits, scores))
            kept = {f"{split}.{name}": part for split in splits for name, part in parts.items()}
            save_file(kept, beside.predictions(record))


def answers(run: Any, source: np.random.Generator) -> Any:
    """Each seed answers well or a little better, and errs where the others of its strategy do."""
    hard = np.random.default_rng(len(run.strategy)).random(120)
    return np.where(hard + source.normal(0, 0.1, 120) < QUALITY[run.strategy] + run.seed / 50, LABELS, 1 - LABELS)


def compare(recipe: Recipe, output: Path) -> list[OverExamples]:
    """The differences of a recipe's table from its reference, row by row."""
    table = tabulate(recipe, output)
    grid = differences.from_reference(table)
    assert grid is not None
    compared = over_examples.lay_out(grid, resampling.compare(over_examples.pairs(table, grid), output))
    return [each for row in compared for each in row if each is not None]


def kept_file(recipe: Recipe, output: Path, strategy: str, seed: int) -> Path:
    """The file with a run's predictions."""
    run = runs(recipe, strategy=strategy, seed=seed)[0]
    return next(output.glob(f"*/{strategy}-{run.id}{beside.PREDICTIONS}"))
