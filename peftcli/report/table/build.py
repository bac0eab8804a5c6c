"""A recipe's table from what became of its runs: rows, columns, averages, parameters, notes. No torch."""

from collections.abc import Mapping, Sequence

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import task_of
from peftcli.report.statistics import describe
from peftcli.report.table import cells, layout, notes, published, ranks, spec, ties
from peftcli.report.table.layout import CellRuns, Key, Layout
from peftcli.report.table.published import Published
from peftcli.report.table.selection import Outcome
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell, Column, Parameters, Row, RowAverage, Table
from peftcli.tasks import registry as tasks

HEADERS = {"strategy": "Strategy", "task": "Task", "learning_rate": "Learning rate"}


def tabulate(recipe: Recipe, outcomes: Sequence[Outcome]) -> Table:
    """Make the table of a recipe's view. Raises UserError for a view that does not fit the recipe."""
    view = spec.read(recipe)
    printed = published.read_beside(recipe, view)
    laid_out = layout.lay_out(recipe, view, outcomes)
    by_key = {key: cells.make(runs, view, printed) for key, runs in laid_out.cells.items()}
    rows = [_row(recipe, view, laid_out, key, by_key, printed) for key in laid_out.rows]
    table = Table(
        title=recipe.title,
        view=view,
        headers=tuple(view.labels.get(name, HEADERS.get(name, name)) for name in view.rows),
        columns=tuple(_column(laid_out, key, view) for key in laid_out.columns),
        # Ranks, ties and notes look across rows, so they come when all are there.
        rows=ties.mark(ranks.rank(rows, view), view),
    )
    return notes.add(table, recipe, outcomes)


def _row(
    recipe: Recipe,
    view: View,
    laid_out: Layout,
    key: Key,
    by_key: Mapping[tuple[Key, Key], Cell],
    printed: Sequence[Published],
) -> Row:
    """Put a row's cells together, None where the recipe plans none."""
    row = tuple(by_key.get((key, column)) for column in laid_out.columns)
    runs = [laid_out.cells[key, column] for column in laid_out.columns if (key, column) in laid_out.cells]
    return Row(
        path=key,
        cells=row,
        parameters=_parameters(recipe, view, runs, row),
        average=_average(view, row, runs, printed),
    )


def _average(
    view: View, row: Sequence[Cell | None], runs: Sequence[CellRuns], printed: Sequence[Published]
) -> RowAverage | None:
    """Average a row over the columns that the paper has; without a number while one of them is missing."""
    if view.average is None:
        return None
    with_value = [cell for cell in row if cell is not None and cell.shown is not None]
    # An average over fewer columns is another number, and would rank beside whole ones.
    whole = len(with_value) == len(row)
    mean = describe.mean(cell.shown for cell in with_value) if whole else None
    has_std = whole and all(cell.std is not None for cell in with_value)
    theirs = published.find_average(printed, runs[0].outcomes[0].run)
    # Partly another paper's numbers, so the difference would not be from this paper's runs.
    copied = any(cell.published is not None and cell.published.copied_from for cell in with_value)
    return RowAverage(
        mean=mean,
        std=describe.mean(cell.std for cell in with_value) if has_std else None,
        columns=len(with_value),
        planned=len(row),
        incomplete=any(cell is None or cell.state != "complete" for cell in row),
        published=theirs,
        difference=None if mean is None or theirs is None or theirs.shown is None or copied else mean - theirs.shown,
    )


def _column(laid_out: Layout, key: Key, view: View) -> Column:
    """Describe a column; its task's name, metric and baseline only where all of its cells share them."""
    task_columns = {runs.column for (_, column), runs in laid_out.cells.items() if column == key}
    if len(task_columns) > 1:
        return Column(key)
    (only,) = task_columns
    return Column(key, only.column, only.metric, baseline(only.task, only.split, only.metric, cells.SCALES[view.scale]))


def baseline(task: str, split: str, metric: str, scale: float) -> float | None:
    """Score the best constant prediction on a split, times `scale`; None where the labels' counts are not known."""
    if task not in tasks.TASKS:
        return None
    labels = tasks.TASKS[task].labels
    # In the order of the labels; empty for a split whose counts nobody has published.
    counts = tasks.TASKS[task].counts.get(split, ())
    fraction = describe.majority_baseline(dict(zip(labels, counts, strict=False)), metric)
    return None if fraction is None else scale * fraction


def _parameters(recipe: Recipe, view: View, runs: Sequence[CellRuns], row: Sequence[Cell | None]) -> Parameters | None:
    """Say what the leading column says: from the records, or counted from the architecture where there is none yet."""
    strategies = {outcome.planned.strategy for each in runs for outcome in each.outcomes}
    if view.parameters == "none" or not strategies:
        return None
    planned = [cell for cell in row if cell is not None]
    field = "trainable_percent" if view.parameters == "percent" else "trainable_millions"
    theirs = (getattr(cell.published, field) for cell in planned if cell.published is not None)
    # A row can hold several strategies (where columns run over them): each note once.
    strategy_notes = dict.fromkeys(recipe.strategies[entry][1].note for entry in sorted(strategies))
    return Parameters(
        # Tasks differ in their head's outputs, Bernoulli draws by seed: the row's number is the mean over its cells.
        value=describe.mean(_percent_or_millions(recipe, view, runs, cell) for cell in planned),
        published=next((value for value in theirs if value is not None), None),
        note="; ".join(filter(None, strategy_notes)) or None,
    )


def _percent_or_millions(recipe: Recipe, view: View, runs: Sequence[CellRuns], cell: Cell) -> float | None:
    """Return a cell's number for the leading column: as recorded, else as counted.

    Percent are of the model's own parameters, head left out on both sides. Millions count the head in: one of
    `head_labels` outputs where the view says so, since some papers count with the head of another task.
    """
    counted = _count(recipe, view, runs[0].outcomes[0])
    if view.parameters == "percent":
        if cell.trainable_percent is not None or counted is None:
            return cell.trainable_percent
        return counted.trainable_percent
    trainable = cell.trainable if cell.trainable is not None or counted is None else counted.trainable
    head = counted.head if counted and (view.head_labels or cell.head is None) else cell.head
    return None if trainable is None or head is None else (trainable + head) / 1e6


def _count(recipe: Recipe, view: View, outcome: Outcome) -> parameters.Counts | None:
    """Count a run's parameters from its architecture; None where the model's numbers are not at hand."""
    run = outcome.run
    task = task_of(run)
    labels = view.head_labels or len(task.labels) or 1  # a regression has no labels and one output
    # A missing count is a dash in the table: no report fails because a model's numbers are on another machine.
    try:
        return parameters.count(recipe.model, run.strategy, run.options, task.kind, labels, run.protocol.head)
    except UserError:
        return None
