"""Which outcome belongs to which cell: a recipe's runs laid out over the rows and columns of its view. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peftcli.errors import UserError, unknown
from peftcli.experiment.recipe import Recipe
from peftcli.report.table.selection import Outcome, chooser
from peftcli.report.table.spec import View
from peftcli.tasks import registry as tasks

Key = tuple[str, ...]  # the words of a row or column, outermost first


@dataclass(frozen=True)
class TaskColumn:
    """One number of a task's evaluation: entry `task_entry` of the recipe's tasks, its column name, split, metric and words."""

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
        return tasks.TASKS[self.column.task].evaluation[0] if self.column.task in tasks.TASKS else "validation"


@dataclass(frozen=True)
class Layout:
    """The keys of rows and columns in the paper's order, and what fills each cell that the recipe plans."""

    rows: tuple[Key, ...]
    columns: tuple[Key, ...]
    cells: Mapping[tuple[Key, Key], CellRuns]


def lay_out(recipe: Recipe, view: View, outcomes: Sequence[Outcome]) -> Layout:
    """Lay outcomes out. Raises UserError where two strategies or task columns would fall into one cell."""
    order: dict[str, dict[str, float]] = {name: {} for name in (*view.rows, *view.columns)}
    found: dict[tuple[Key, Key], list[tuple[Outcome, TaskColumn]]] = {}
    own = task_columns(recipe, view, outcomes)
    for column in own:
        for outcome in outcomes:
            if outcome.planned.task == column.task_entry:
                words = {name: word(name, recipe, view, outcome, column) for name in order}
                for name, text in words.items():
                    order[name].setdefault(text, _place_of(name, outcome, own.index(column), order[name]))
                key = tuple(words[name] for name in view.rows), tuple(words[name] for name in view.columns)
                found.setdefault(key, []).append((outcome, column))
    cells = {key: _place(key, parts, recipe, view) for key, parts in found.items()}
    rows = sorted({row for row, _ in cells}, key=lambda k: [order[n][w] for n, w in zip(view.rows, k, strict=True)])
    columns = sorted(
        {column for _, column in cells}, key=lambda k: [order[n][w] for n, w in zip(view.columns, k, strict=True)]
    )
    return Layout(tuple(rows), tuple(columns), cells)


def task_columns(recipe: Recipe, view: View, outcomes: Sequence[Outcome]) -> list[TaskColumn]:
    """List the task columns of a view in its order: a task's splits, and its metrics where the view names some.

    Raises UserError for a column that the recipe's tasks do not have.
    """
    found = []
    for at, (name, entry) in enumerate(recipe.tasks):
        example = next((o.run for o in outcomes if o.planned.task == at), None)
        splits = tasks.TASKS[name].columns if name in tasks.TASKS else {name: "validation"}
        for column, split in splits.items() if example else ():
            assert example is not None
            metrics = view.metrics.get(column) or view.metrics.get(name) or [chooser(example)]
            label = entry.label or name
            label = f"{label} {column.removeprefix(name + '_')}" if column != name else label
            for metric in metrics:
                words = f"{label} {metric}" if len(metrics) > 1 else label
                words = view.labels.get(f"{column}.{metric}") or view.labels.get(column) or words
                found.append(TaskColumn(at, name, column, split, metric, words))
    names = list(dict.fromkeys(column.column for column in found))
    for wanted in (*(view.tasks or ()), *view.metrics):
        if wanted not in names and wanted not in dict(recipe.tasks):
            raise UserError(f"recipe {recipe.path.name}: table: {unknown('column', wanted, names)}")
    if view.tasks is None:
        return found
    return [column for name in view.tasks for column in found if name in (column.column, column.task)]


def word(name: str, recipe: Recipe, view: View, outcome: Outcome, column: TaskColumn) -> str:
    """Give the word that a row or column over `name` has for a run: the paper's where there is one."""
    if name == "strategy":
        return strategy_label(recipe, outcome)
    if name == "task":
        return column.label
    value = value_of(name, outcome)
    text = rate_text(value) if name == "learning_rate" else _plain(name, value)
    return view.labels.get(f"{name}={text}", text)


def strategy_label(recipe: Recipe, outcome: Outcome) -> str:
    """Give the paper's word for a run's strategy, or its name with the options that the recipe sets."""
    name, entry = recipe.strategies[outcome.planned.strategy]
    options = ",".join(f"{key}={_plain(key, value)}" for key, value in entry.options.items())
    return entry.label or (f"{name}:{options}" if options else name)


def value_of(name: str, outcome: Outcome) -> Any:
    """Give a run's learning rate, option or training setting by name; None where its strategy has no such option."""
    if name == "learning_rate":
        return outcome.run.learning_rate
    return outcome.run.options.get(name, getattr(outcome.run.protocol, name, None))


def rate_text(rate: float) -> str:
    """Write a learning rate as recipes do: 1e-4, 2.5e-5."""
    mantissa, _, exponent = f"{rate:e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _plain(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ("-" if name == "groups" else "+").join(map(str, value))
    return "all" if value is None else str(value)


def _place_of(name: str, outcome: Outcome, column: int, seen: Mapping[str, float]) -> float:
    """Where a word stands among the others: strategies and columns as listed, rates ascending, others as they come."""
    if name == "learning_rate":
        return outcome.run.learning_rate
    if name == "strategy":
        return outcome.planned.strategy
    return column if name == "task" else len(seen)


def _place(key: tuple[Key, Key], parts: list[tuple[Outcome, TaskColumn]], recipe: Recipe, view: View) -> CellRuns:
    column = parts[0][1]
    strategies = {outcome.planned.strategy for outcome, _ in parts}
    if len(strategies) > 1 or any(other != column for _, other in parts):
        where = " / ".join((*key[0], *key[1]))
        raise UserError(
            f"recipe {recipe.path.name}: table: several strategies or tasks fall into cell {where}: "
            "give them different labels, or name what tells them apart in rows or columns"
        )
    names = dict.fromkeys(name for _, entry in recipe.tasks for name in entry.training)
    rate = ["learning_rate"] if view.select == "every learning rate" else []
    setting = {name: value_of(name, parts[0][0]) for name in (*names, *rate)}
    return CellRuns(tuple(outcome for outcome, _ in parts), column, setting)
