"""A table's strategies over all of its tasks: averages, differences from the reference, and mean ranks. No torch.

A task counts once, whatever the number of its columns: MNLI's two are two test sets of one model, and a second metric is
no second task, so the mean of its columns stands for it. Averages are over columns, as the table's own. A column of
averages is never a task, and what a paper prints as an average's deviation, most often the mean of the tasks', is not
tested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from peftcli.report.statistics import intervals, seed_averages
from peftcli.report.statistics.contrast import Sample
from peftcli.report.statistics.interquartile import Interquartile, over_tasks
from peftcli.report.statistics.mean_ranks import LEAST_STRATEGIES, LEAST_TASKS, MeanRanks, mean_ranks
from peftcli.report.table import contenders
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Cell, Table

Key = tuple[str, ...]  # a strategy's words in the table, outermost first
Column = tuple[int, str, str]  # which of the recipe's tasks, the column's name, the metric


@dataclass(frozen=True)
class Strategy:
    """A strategy with a cell in every column of its table, one a column: at its learning rate where rows differ in that."""

    key: Key
    cells: Mapping[Column, Cell]

    @property
    def by_task(self) -> Mapping[str, tuple[Sample, ...]]:
        """Its samples over seeds by task, one a column of that task; those without a value are left out."""
        tasks: dict[str, list[Sample]] = {}
        for cell in self.cells.values():
            sample = Sample.of(cell.values)
            tasks.setdefault(cell.task, []).extend([sample] if sample is not None else [])
        return {task: tuple(samples) for task, samples in tasks.items()}

    @property
    def average(self) -> Sample:
        """Its average over the columns, seed by seed."""
        return seed_averages.average([sample for samples in self.by_task.values() for sample in samples])


@dataclass(frozen=True)
class OfStrategy:
    """What a report says of one strategy over tasks, in the table's unit.

    `average` has an `interval` where its columns have the same seeds, three or more. `difference` is the interquartile
    mean of its differences from the reference, run by run; None where it has other seeds, and of the reference itself.
    `rank` is its mean rank over tasks; None with fewer than five tasks or three strategies.
    """

    key: Key
    average: float
    interval: tuple[float, float] | None
    seeds: int
    collapsed: int
    difference: Interquartile | None
    rank: float | None


@dataclass(frozen=True)
class OverTasks:
    """A table over its tasks: a strategy each that has every column, those `left_out`, and the mean ranks' test."""

    strategies: tuple[OfStrategy, ...]
    left_out: tuple[Key, ...]
    columns: int
    tasks: int
    reference: str | None
    ranks: MeanRanks | None


def summarise(table: Table) -> OverTasks | None:
    """Sum a table up over its tasks.

    None where it shows no average and has fewer than five tasks, and where no strategy has a mean in every column.
    """
    columns = columns_of(table)
    tasks = len({cell.task for cell in table.cells()})
    # A maximum over runs has no seeds.
    if table.view.cell != "mean±std" or len(columns) < 2 or (table.view.average is None and tasks < LEAST_TASKS):
        return None
    everyone = strategies(table)
    whole = [each for each in everyone if is_whole(each, columns)]
    if not whole:
        return None
    ranks = None
    if tasks >= LEAST_TASKS and len(whole) >= LEAST_STRATEGIES:
        ranks = mean_ranks(scores(whole))
    reference = _reference(table, whole) if tasks >= LEAST_TASKS else None
    said = tuple(
        OfStrategy(
            key=each.key,
            average=each.average.mean,
            interval=intervals.student(each.average),
            seeds=each.average.n,
            collapsed=sum(len(cell.collapsed) for cell in each.cells.values()),
            difference=None if reference is None or each is reference else difference(each, reference),
            rank=None if ranks is None else ranks.ranks[at],
        )
        for at, each in enumerate(whole)
    )
    left_out = tuple(each.key for each in everyone if not is_whole(each, columns))
    name = table.view.reference if reference is not None else None
    return OverTasks(said, left_out, len(columns), tasks, name, ranks)


def columns_of(table: Table) -> list[Column]:
    """Return the task columns of a table, whether they are its columns or its rows."""
    return list(dict.fromkeys(column_of(cell) for cell in table.cells()))


def column_of(cell: Cell) -> Column:
    """Return a cell's task column."""
    return cell.task_entry, cell.column, cell.metric


def strategies(table: Table) -> list[Strategy]:
    """Return the strategies of a table, each with the cells that have a mean, in the order of its rows."""
    cells: dict[Key, dict[Column, list[Cell]]] = {}
    for row in table.rows:
        for cell, column in zip(row.cells, table.columns, strict=True):
            if cell is not None:
                words = [
                    *zip(table.view.rows, row.path, strict=True),
                    *zip(table.view.columns, column.path, strict=True),
                ]
                key = tuple(word for name, word in words if name not in ("task", "learning_rate"))
                cells.setdefault(key, {}).setdefault(column_of(cell), []).append(cell)
    return [
        Strategy(key, {column: chosen[0].cell for column, some in of.items() if (chosen := contenders.of(some))})
        for key, of in cells.items()
    ]


def is_whole(strategy: Strategy, columns: Iterable[Column]) -> bool:
    """Say whether a strategy has a value in every column: a mean over fewer is another number."""
    return all(column in strategy.cells for column in columns)


def scores(whole: Sequence[Strategy]) -> list[list[float]]:
    """Return the strategies' means [tasks, strategies], the mean of a task's columns standing for it."""
    by_task = [each.by_task for each in whole]
    return [[seed_averages.average(of[task]).mean for of in by_task] for task in by_task[0]]


def difference(strategy: Strategy, reference: Strategy) -> Interquartile | None:
    """Return the interquartile mean of a strategy's differences from the reference, seed by seed over all tasks.

    None where the recipe does not plan the same seeds for both on every task, or a run of them is missing.
    """
    values = []
    for column, cell in strategy.cells.items():
        other = reference.cells[column]
        if cell.seeds is None or cell.seeds != other.seeds or cell.n < cell.planned or other.n < other.planned:
            return None
    ours, theirs = strategy.by_task, reference.by_task
    for task, samples in ours.items():
        one, other_one = seed_averages.average(samples).values, seed_averages.average(theirs[task]).values
        if one is None or other_one is None:
            return None
        values.append([one[seed] - other_one[seed] for seed in one])
    if len({len(of_task) for of_task in values}) > 1:
        return None  # tasks with more seeds would count for more
    return over_tasks(values)


def _reference(table: Table, whole: Sequence[Strategy]) -> Strategy | None:
    """Return the strategy that the table's view names as reference; None where it names none, or several."""
    if table.view.reference is None:
        return None
    selector = Selector.parse(table.view.reference)
    fitting = [each for each in whole if all(selector.fits(cell) for cell in each.cells.values())]
    return fitting[0] if len(fitting) == 1 else None
