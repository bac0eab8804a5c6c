"""Which outcome belongs to which cell: a recipe's runs laid out over the rows and columns of its view. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peftcli.errors import UserError, unknown
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import task_of
from peftcli.report.table.selection import Outcome, chooser
from peftcli.report.table.spec import View

Key = tuple[str, ...]  # the words of a row or column, outermost first


@dataclass(frozen=True)
class TaskColumn:
    """One number of a task's evaluation: its column's name, its split, its metric, and the words above it.

    `task_entry` says which of the recipe's tasks it is, from 0: a recipe can name a task twice, with other settings.
    """

    task_entry: int
    task: str
    column: str
    split: str
    metric: str
    label: str


@dataclass(frozen=True)
class CellRuns:
    """What fills one cell: every run of one strategy entry on one task column, at all rates that can be chosen.

    `setting` holds what tells it from other cells of that strategy and column: the training settings that the recipe's
    tasks differ in, and the learning rate where each has a row or column of its own.
    """

    outcomes: tuple[Outcome, ...]
    column: TaskColumn
    setting: Mapping[str, Any]

    @property
    def first_split(self) -> str:
        """The split that the task's learning rate is chosen on: the same model then fills all of its columns."""
        return task_of(self.outcomes[0].run).evaluation[0]


@dataclass(frozen=True)
class Layout:
    """The keys of rows and columns in the paper's order, and the runs of each cell that the recipe plans."""

    rows: tuple[Key, ...]
    columns: tuple[Key, ...]
    cells: Mapping[tuple[Key, Key], CellRuns]


def lay_out(recipe: Recipe, view: View, outcomes: Sequence[Outcome]) -> Layout:
    """Lay outcomes out. Raises UserError where two strategies or task columns would fall into one cell."""
    # For each dimension (strategy, task, n, …), every word that occurs and what to sort it by.
    order: dict[str, dict[str, float]] = {name: {} for name in (*view.rows, *view.columns)}
    contents: dict[tuple[Key, Key], list[tuple[Outcome, TaskColumn]]] = {}
    for position, column in enumerate(task_columns(recipe, view, outcomes)):
        for outcome in outcomes:
            if outcome.planned.task != column.task_entry:
                continue
            words = {name: word(name, recipe, view, outcome, column) for name in order}
            for name, text in words.items():
                order[name].setdefault(text, _sort_value(name, outcome, position, order[name]))
            key = tuple(words[name] for name in view.rows), tuple(words[name] for name in view.columns)
            contents.setdefault(key, []).append((outcome, column))

    def in_order(dimensions: Sequence[str], keys: set[Key]) -> tuple[Key, ...]:
        # Outermost dimension first, as in the paper.
        return tuple(sorted(keys, key=lambda key: [order[n][text] for n, text in zip(dimensions, key, strict=True)]))

    return Layout(
        rows=in_order(view.rows, {row for row, _ in contents}),
        columns=in_order(view.columns, {column for _, column in contents}),
        cells={key: _cell_runs(key, runs, recipe, view) for key, runs in contents.items()},
    )


def task_columns(recipe: Recipe, view: View, outcomes: Sequence[Outcome]) -> list[TaskColumn]:
    """List the task columns of a view in its order: a task's splits, and its metrics where the view names some.

    Raises UserError for a column that the recipe's tasks do not have.
    """
    columns = []
    for entry_number, (name, entry) in enumerate(recipe.tasks):
        # A run shows which metric its protocol chooses by; a task without any run has no column.
        example = next((outcome.run for outcome in outcomes if outcome.planned.task == entry_number), None)
        if example is None:
            continue
        for column, split in task_of(example).columns.items():
            metrics = view.metrics.get(column) or view.metrics.get(name) or [chooser(example)]
            label = entry.label or name
            if column != name:  # one of several splits: `mnli_matched` is MNLI's column "matched"
                label = f"{label} {column.removeprefix(name + '_')}"
            for metric in metrics:
                # The view's words outrank these, those for one metric before those for the column.
                words = f"{label} {metric}" if len(metrics) > 1 else label
                words = view.labels.get(f"{column}.{metric}") or view.labels.get(column) or words
                columns.append(TaskColumn(entry_number, name, column, split, metric, words))
    names = list(dict.fromkeys(column.column for column in columns))
    for wanted in (*(view.tasks or ()), *view.metrics):
        if wanted not in names and wanted not in dict(recipe.tasks):
            raise UserError(f"recipe {recipe.path.name}: table: {unknown('column', wanted, names)}")
    if view.tasks is None:
        return columns
    return [column for name in view.tasks for column in columns if name in (column.column, column.task)]


def word(name: str, recipe: Recipe, view: View, outcome: Outcome, column: TaskColumn) -> str:
    """Return the word that a row or column over `name` has for a run: the paper's where there is one."""
    if name == "strategy":
        return strategy_label(recipe, outcome)
    if name == "task":
        return column.label
    value = value_of(name, outcome)
    text = rate_text(value) if name == "learning_rate" else _option_text(name, value)
    return view.labels.get(f"{name}={text}", text)


def strategy_label(recipe: Recipe, outcome: Outcome) -> str:
    """Return the paper's word for a run's strategy, or its name with the options that the recipe sets."""
    name, entry = recipe.strategies[outcome.planned.strategy]
    options = ",".join(f"{key}={_option_text(key, value)}" for key, value in entry.options.items())
    return entry.label or (f"{name}:{options}" if options else name)


def value_of(name: str, outcome: Outcome) -> Any:
    """Return a run's learning rate, option or training setting by name; None where its strategy has no such option."""
    if name == "learning_rate":
        return outcome.run.learning_rate
    # An option hides a training setting of the same name.
    return outcome.run.options.get(name, getattr(outcome.run.protocol, name, None))


def rate_text(rate: float) -> str:
    """Write a learning rate as recipes do: 1e-4, 2.5e-5."""
    # Python writes 0.0001 as 1.000000e-04.
    mantissa, _, exponent = f"{rate:e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _option_text(name: str, value: Any) -> str:
    """Write an option's value as recipes and selectors do: `groups` are a range, other lists a sum, None is all."""
    if isinstance(value, list):
        return ("-" if name == "groups" else "+").join(map(str, value))
    return "all" if value is None else str(value)


def _sort_value(name: str, outcome: Outcome, column: int, seen: Mapping[str, float]) -> float:
    """Return what a word is sorted by: strategies and columns as listed, rates ascending, others as they come."""
    if name == "learning_rate":
        return outcome.run.learning_rate
    if name == "strategy":
        return outcome.planned.strategy
    return column if name == "task" else len(seen)


def _cell_runs(key: tuple[Key, Key], runs: list[tuple[Outcome, TaskColumn]], recipe: Recipe, view: View) -> CellRuns:
    """Put the runs of one cell together. Raises UserError where they are of several strategies or task columns."""
    example, column = runs[0]
    strategies = {outcome.planned.strategy for outcome, _ in runs}
    if len(strategies) > 1 or any(other != column for _, other in runs):
        where = " / ".join((*key[0], *key[1]))
        raise UserError(
            f"recipe {recipe.path.name}: table: several strategies or tasks fall into cell {where}: "
            "give them different labels, or name what tells them apart in rows or columns"
        )
    # Settings that tasks override (`train_size`) are what tells cells of one strategy and column apart.
    names = dict.fromkeys(name for _, entry in recipe.tasks for name in entry.training)
    rate = ["learning_rate"] if view.select == "every learning rate" else []
    setting = {name: value_of(name, example) for name in (*names, *rate)}
    return CellRuns(tuple(outcome for outcome, _ in runs), column, setting)
