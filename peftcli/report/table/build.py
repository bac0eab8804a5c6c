"""A recipe's table from what became of its runs: rows, columns, averages, parameters, notes. No torch."""

from collections.abc import Mapping, Sequence

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.recipe import Recipe
from peftcli.report.statistics import describe
from peftcli.report.table import cells, layout, notes, published, ranks, spec
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
    printed = read_published(recipe, view)
    laid = layout.lay_out(recipe, view, outcomes)
    made = {key: cells.make(place, view, printed) for key, place in laid.cells.items()}
    rows = ranks.rank([_row(recipe, view, laid, key, made, printed) for key in laid.rows], view)
    table = Table(
        title=recipe.title,
        view=view,
        headers=tuple(view.labels.get(name, HEADERS.get(name, name)) for name in view.rows),
        columns=tuple(_column(laid, key, view) for key in laid.columns),
        rows=rows,
    )
    return notes.add(table, recipe)


def read_published(recipe: Recipe, view: View) -> tuple[Published, ...]:
    """Read the printed cells that lie beside a recipe; none where its table names no file. Raises UserError."""
    return published.read(recipe.path.parent / view.published) if view.published else ()


def _row(
    recipe: Recipe,
    view: View,
    laid: Layout,
    key: Key,
    made: Mapping[tuple[Key, Key], Cell],
    printed: Sequence[Published],
) -> Row:
    own = tuple(made.get((key, column)) for column in laid.columns)
    places = [laid.cells[key, column] for column in laid.columns if (key, column) in laid.cells]
    return Row(
        path=key,
        cells=own,
        parameters=_parameters(recipe, view, places, own),
        average=_average(view, own, places, printed),
    )


def _average(
    view: View, own: Sequence[Cell | None], places: Sequence[CellRuns], printed: Sequence[Published]
) -> RowAverage | None:
    """Average a row over the columns that the paper has; without a number while one of them is missing."""
    if view.average is None:
        return None
    known = [cell for cell in own if cell is not None and cell.shown is not None]
    whole = len(known) == len(own)
    mean = describe.mean(cell.shown for cell in known) if whole else None
    std = describe.mean(cell.std for cell in known) if whole and all(cell.std is not None for cell in known) else None
    theirs = published.find_average(printed, places[0].outcomes[0].run)
    copied = any(cell.published is not None and cell.published.copied_from for cell in known)
    return RowAverage(
        mean=mean,
        std=std,
        columns=len(known),
        planned=len(own),
        incomplete=any(cell is None or cell.state != "complete" for cell in own),
        published=theirs,
        difference=None if mean is None or theirs is None or theirs.shown is None or copied else mean - theirs.shown,
    )


def _column(laid: Layout, key: Key, view: View) -> Column:
    own = {place.column for (_, column), place in laid.cells.items() if column == key}
    if len(own) > 1:
        return Column(key)
    only = own.pop()
    return Column(key, only.column, only.metric, baseline(only.task, only.split, only.metric, cells.SCALES[view.scale]))


def baseline(task: str, split: str, metric: str, scale: float) -> float | None:
    """Score the best constant prediction on a split, times `scale`; None where the labels' counts are not known."""
    if task not in tasks.TASKS:
        return None
    known = tasks.TASKS[task]
    counts = known.counts.get(split, ())
    found = describe.majority_baseline(dict(zip(known.labels, counts, strict=False)), metric)
    return None if found is None else scale * found


def _parameters(
    recipe: Recipe, view: View, places: Sequence[CellRuns], own: Sequence[Cell | None]
) -> Parameters | None:
    """What the leading column says: from the records, or counted from the architecture where there is none yet."""
    strategies = {outcome.planned.strategy for place in places for outcome in place.outcomes}
    if view.parameters == "none" or not strategies:
        return None
    known = [cell for cell in own if cell is not None]
    notes_of = dict.fromkeys(recipe.strategies[at][1].note for at in sorted(strategies))
    theirs = [cell.published for cell in known if cell.published is not None]
    field = "trainable_percent" if view.parameters == "percent" else "trainable_millions"
    printed = next((value for cell in theirs if (value := getattr(cell, field)) is not None), None)
    value = describe.mean(_percent_or_millions(recipe, view, places, cell) for cell in known)
    return Parameters(value, printed, "; ".join(filter(None, notes_of)) or None)


def _percent_or_millions(recipe: Recipe, view: View, places: Sequence[CellRuns], cell: Cell) -> float | None:
    """A cell's number for the leading column: as recorded, else as counted; a head of `head_labels` is counted."""
    counted = _count(recipe, view, places[0].outcomes[0])
    if view.parameters == "percent":
        return (
            cell.trainable_percent if cell.trainable_percent is not None or not counted else counted.trainable_percent
        )
    trainable = cell.trainable if cell.trainable is not None or not counted else counted.trainable
    head = counted.head if counted and (view.head_labels or cell.head is None) else cell.head
    return None if trainable is None or head is None else (trainable + head) / 1e6


def _count(recipe: Recipe, view: View, outcome: Outcome) -> parameters.Counts | None:
    """Count a run's parameters from its architecture; None where the model's numbers are not at hand."""
    try:
        return parameters.run_count(recipe.model, outcome.run, view.head_labels)
    except UserError:
        return None
