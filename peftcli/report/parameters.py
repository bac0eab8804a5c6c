"""The parameter counts of a recipe's strategies, a row each, beside what the paper printed."""

from typing import Any

from peftcli.experiment import plan
from peftcli.experiment.parameters import count
from peftcli.experiment.recipe import Entry, Recipe, first_alone
from peftcli.experiment.run import Run, task_of
from peftcli.report.table import published, spec
from peftcli.tasks import imported_only


def rows(recipe: Recipe, labels: int | None = None) -> list[dict[str, Any]]:
    """Count every distinct strategy of a recipe, in its order, as JSON-able objects.

    The head has `labels` outputs: by default what the recipe's table counts with, else those of its first task.
    `published_percent` and `published_millions` are what the paper printed, None where nothing; `note` is the recipe's
    word on the strategy. Raises UserError.
    """
    view = spec.read(recipe)
    printed = published.read_beside(recipe, view)
    counted: dict[tuple[str, str], dict[str, Any]] = {}
    for run, entry in _examples(recipe):
        row = _row(recipe, run, entry, labels or view.head_labels)
        # Any printed cell of the strategy has them: a paper prints one number a row.
        cell = next((c for c in printed if c.strategy == run.strategy and published.fits(c.setting, run)), None)
        row["published_percent"] = cell and cell.trainable_percent
        row["published_millions"] = cell and cell.trainable_millions
        # Entries that differ in training alone have one count: the first stands for them.
        counted.setdefault((run.strategy, str(run.options)), row)
    return list(counted.values())


def _row(recipe: Recipe, run: Run, entry: Entry, labels: int | None) -> dict[str, Any]:
    """Count one strategy; its head has `labels` outputs, or those of the run's task (one for a regression)."""
    task = task_of(run)
    imported_only.refuse(run.task, task)
    outputs = labels or max(len(task.labels), 1)
    counts = count(recipe.model, run.strategy, run.options, task.kind, outputs, run.protocol.head)
    return {
        "strategy": run.strategy,
        "options": run.options,
        "label": entry.label or run.strategy,
        "total": counts.total,
        "trainable": counts.trainable,
        "head": counts.head,
        "trainable_with_head": counts.trainable + counts.head,
        "trainable_percent": counts.trainable_percent,
        "note": entry.note,
    }


def _examples(recipe: Recipe) -> list[tuple[Run, Entry]]:
    """Return one run for each strategy entry: of its first task."""
    # One learning rate and one seed for each entry: counting needs no more, and a long grid takes seconds to expand.
    runs: dict[int, Run] = {}
    for planned in plan.expand(first_alone(recipe, "learning_rates", "seeds")):
        runs.setdefault(planned.strategy, planned.run)
    return [(run, recipe.strategies[entry_number][1]) for entry_number, run in runs.items()]
