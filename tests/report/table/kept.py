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
from peftcli.report.table import selection
from peftcli.tasks import registry as tasks
from tests.written_records import runs, unsynced, write

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
