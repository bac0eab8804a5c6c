"""Exact parameter counts from an architecture's numbers alone: no weights, no network, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from peftcli.experiment.run import Run, task_of
from peftcli.models import anatomy, catalogue, heads
from peftcli.models.anatomy import Anatomy
from peftcli.models.heads import Style
from peftcli.strategies import registry
from peftcli.strategies.tuning import Elements, Tuning


@dataclass(frozen=True)
class Counts:
    """How many elements a model has and how many of them a strategy trains.

    `total` is the pre-trained model's own, the head left out. `trainable` counts its elements that may move, and
    inserted ones; for a Bernoulli draw the expectation, for projected strategies the share that is kept.
    `head` is how many of the head's train: all, but for few strategies. `trainable_percent` is 100 * trainable / total.
    """

    total: int
    trainable: int
    head: int
    trainable_percent: float


def with_head(config: dict[str, Any], kind: str, labels: int, style: Style) -> Anatomy:
    """Return the anatomy of a model with these sizes and a head for a task of this kind, as strategies are shown it."""
    head = heads.parameters(config, kind, labels, style)
    return anatomy.anatomy(config, head, heads.uses_pooler(config, kind, style))


def count(
    model: str, strategy: str, options: Mapping[str, Any], kind: str, labels: int, head_style: Style = "stock"
) -> Counts:
    """Count for a model (alias, hub id or folder), a strategy with its options, and a head for `labels` of a task kind.

    Raises UserError for a model, strategy or option that does not exist, or one that selects nothing.
    """
    structure = with_head(catalogue.config(model), kind, labels, head_style)
    method = registry.get(strategy)
    tuning = method.tune(structure, method.options(options))
    moving = round(trainable(structure, tuning))
    return Counts(structure.total, moving, trained_head(structure, tuning), 100 * moving / structure.total)


def trainable(model: Anatomy, tuning: Tuning) -> float:
    """Count what a tuning lets move, head left out: masked elements (those `kept`, where any are), insertions."""
    masked = 0.0
    for entry in tuning.mask:
        # A tensor's name stands for all of its elements, or for those that a projected strategy keeps at the end. A
        # Bernoulli draw is counted by its expectation, which need not be whole.
        masked += entry.count if isinstance(entry, Elements) else tuning.kept.get(entry, model.by_name[entry].size)
    return masked + inserted(model, tuning)


def trained_head(model: Anatomy, tuning: Tuning) -> int:
    """Count the head's elements that a tuning lets move (those `kept`, where any are)."""
    return round(sum(tuning.kept.get(p.name, p.size) for p in model.head)) if tuning.train_head else 0


def columns(
    model: str, strategy: str, options: Mapping[str, Any], kind: str, labels: int, head_style: Style = "stock"
) -> int:
    """Count the numbers one run trains, head and training aids included: what its optimizer keeps moments of."""
    structure = with_head(catalogue.config(model), kind, labels, head_style)
    tuning = registry.get(strategy).tune(structure, options)
    # Unlike `trainable`: a projected strategy trains every element until it projects, and each has moments.
    masked = sum(e.count if isinstance(e, Elements) else structure.by_name[e].size for e in tuning.mask)
    aids = sum(prod(shape) for shape, _ in tuning.extra.values())
    return round(masked) + inserted(structure, tuning) + aids + (structure.head_total if tuning.train_head else 0)


def run_tuning(model: str, run: Run) -> Tuning:
    """What a run's strategy lets move on a model with a head for its task. Raises UserError as `count` does."""
    task = task_of(run)
    structure = with_head(catalogue.config(model), task.kind, max(len(task.labels), 1), run.protocol.head)
    return registry.get(run.strategy).tune(structure, run.options)


def run_count(model: str, run: Run, labels: int | None = None) -> Counts:
    """`count` for a run on a model: its strategy, and a head for its task's labels, or for so many."""
    task = task_of(run)
    return count(model, run.strategy, run.options, task.kind, labels or len(task.labels) or 1, run.protocol.head)


def run_columns(model: str, run: Run) -> int:
    """`columns` for a run on a model: its strategy, and a head for its task."""
    task = task_of(run)
    return columns(model, run.strategy, run.options, task.kind, max(len(task.labels), 1), run.protocol.head)


def inserted(model: Anatomy, tuning: Tuning) -> int:
    """Count the elements of the modules that a tuning inserts; `extra` tensors are aids of training and not counted."""
    elements = sum(prod(shape) for shape in tuning.injected.shapes.values()) if tuning.injected else 0
    shapes = tuning.inserted_shapes(model).values()
    return elements + sum(prod(shape) for of_module in shapes for shape in of_module.values())
