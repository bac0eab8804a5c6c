"""The parameter counts of a recipe's strategies, a row each, beside what the paper printed."""

from typing import Any, TypeVar

from peftcli.experiment import plan
from peftcli.experiment.parameters import count
from peftcli.experiment.recipe import Entry, Recipe
from peftcli.experiment.run import Run, task_of
from peftcli.report.table import published, spec

Listed = TypeVar("Listed", Recipe, Entry)


def rows(recipe: Recipe, labels: int | None = None) -> list[dict[str, Any]]:
    """Count every distinct strategy of a recipe, in its order, as JSON-able objects.

    The head has `labels` outputs: by default what the recipe's table counts with, else those of its first task.
    `published_percent` and `published_millions` are what the paper printed, None where nothing; `note` is the recipe's
    word on the strategy. Raises UserError.
    """
    view = spec.read(recipe)
    printed = published.read(recipe.path.parent / view.published) if view.published else ()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run, entry in _examples(recipe):
        row = _row(recipe, run, entry, labels or view.head_labels)
        cell = next((c for c in printed if c.strategy == run.strategy and published.fits(c.setting, run)), None)
        row["published_percent"] = cell and cell.trainable_percent
        row["published_millions"] = cell and cell.trainable_millions
        found.setdefault((run.strategy, str(run.options)), row)
    return list(found.values())


def _row(recipe: Recipe, run: Run, entry: Entry, labels: int | None) -> dict[str, Any]:
    kind, known = _head(run)
    counts = count(recipe.model, run.strategy, run.options, kind, labels or known, run.protocol.head)
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
    """One run for each strategy entry: of its first task."""
    found: dict[int, Run] = {}
    for planned in plan.expand(_thinned(recipe)):
        found.setdefault(planned.strategy, planned.run)
    return [(run, recipe.strategies[at][1]) for at, run in found.items()]


def _thinned(recipe: Recipe) -> Recipe:
    """The recipe with one learning rate and one seed for each entry: counting needs no more."""
    return _first_of(recipe).model_copy(
        update={
            "tasks": [(name, _first_of(entry)) for name, entry in recipe.tasks],
            "strategies": [(name, _first_of(entry)) for name, entry in recipe.strategies],
        }
    )


def _first_of(given: Listed) -> Listed:
    rates, seeds = given.learning_rates, given.seeds
    return given.model_copy(update={"learning_rates": rates and rates[:1], "seeds": seeds and seeds[:1]})


def _head(run: Run) -> tuple[str, int]:
    """The kind and number of outputs of a run's task."""
    task = task_of(run)
    return task.kind, max(len(task.labels), 1)
