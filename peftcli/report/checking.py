"""What a recipe's table, figures and claims say, checked before anything is trained. No torch.

A report reads them last, after a night of training; each command that loads a recipe asks here first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.errors import UserError, unknown
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import task_of
from peftcli.report.table import build, layout, published, selection, spec
from peftcli.report.table.layout import TaskColumn
from peftcli.report.table.selection import Outcome
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Table
from peftcli.tasks import registry as tasks

if TYPE_CHECKING:
    from peftcli.report.claims.spec import Claim
    from peftcli.report.figures.spec import FigureSpec


def check(recipe: Recipe, names: bool = True) -> None:
    """Refuse a recipe with a key, a value or a published table that no report could be made with. Raises UserError.

    `names`: also what the table, a figure or a claim calls a strategy, a task, a metric, a learning rate or an option
    must be there. Of a recipe that was narrowed on the command line that is not asked: its whole is reported on.
    """
    view = spec.read(recipe)
    published.read_beside(recipe, view)
    # What judges and draws is imported for a recipe that has something to judge or to draw: it is half of a start.
    claims = _claims(recipe) if recipe.claims else []
    drawn = _figures(recipe) if recipe.figures else []
    if not names:
        return
    try:
        outcomes = _nothing_run(recipe)
    except UserError:
        # What is wrong with files of the user's own is said by the command itself, which `doctor` lists and goes on.
        if any(entry.options for _, entry in recipe.tasks):
            return
        raise
    table = _tabulate(recipe, outcomes)
    _check_table(recipe, table, outcomes)
    if drawn:
        _check_figures(recipe, drawn, outcomes)
    if claims:
        _check_claims(recipe, claims, table)


def _claims(recipe: Recipe) -> "list[Claim]":
    from peftcli.report.claims import spec

    return spec.read(recipe)


def _figures(recipe: Recipe) -> "list[FigureSpec]":
    from peftcli.report import figures

    return figures.parse_all(recipe.figures, f"recipe {recipe.path.name}: figures")


def _nothing_run(recipe: Recipe) -> list[Outcome]:
    """Return the outcomes of a recipe of which no run has a record, with one seed for all: no name depends on seeds."""
    return [selection.missing(planned) for planned in plan.expand(recipes.first_alone(recipe, "seeds"))]


def _tabulate(recipe: Recipe, outcomes: Sequence[Outcome]) -> Table:
    """Lay out a recipe's table without its column of parameters, which needs the model's sizes."""
    table = {**(recipe.table or {}), "parameters": "none"}
    return build.tabulate(recipe.model_copy(update={"table": table}), outcomes)


def _check_table(recipe: Recipe, table: Table, outcomes: Sequence[Outcome]) -> None:
    """Refuse a metric, a label or a strategy in `table` that the recipe does not have. Raises UserError."""
    view = table.view
    columns = layout.task_columns(recipe, view.model_copy(update={"tasks": None}), outcomes)
    where = f"recipe {recipe.path.name}: table"
    for column in columns:
        if column.metric not in _metrics(column, outcomes):
            said = unknown("metric", column.metric, _metrics(column, outcomes))
            raise UserError(f"{where}: metrics: {column.column}: {said}")
    dimensions = [*view.rows, *view.columns]
    legal = [*dimensions, *(word for column in columns for word in _words(column.column, _metrics(column, outcomes)))]
    # A recipe may extend one that has more tasks or values, and inherit their words.
    inherited = {word for task in tasks.TASKS.values() for name in task.columns for word in _words(name, task.metrics)}
    for label in view.labels:
        if label.partition("=")[0] not in legal and label not in inherited:
            raise UserError(f"{where}: labels: {unknown('column, row or value', label, dict.fromkeys(legal))}")
    cells = list(table.cells())
    for key, named in (("unranked", view.unranked), ("reference", [view.reference] if view.reference else [])):
        for name in named:
            selector = Selector.parse(name)
            if not any(selector.fits(cell) for cell in cells):
                strategies = dict.fromkeys(cell.strategy for cell in cells)
                raise UserError(f"{where}: {key}: {unknown('strategy', name, strategies)}")


def _metrics(column: TaskColumn, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return task_of(next(outcome.run for outcome in outcomes if outcome.planned.task == column.task_entry)).metrics


def _words(column: str, metrics: Iterable[str]) -> list[str]:
    return [column, *(f"{column}.{metric}" for metric in metrics)]


def _check_figures(recipe: Recipe, drawn: "Sequence[FigureSpec]", outcomes: Sequence[Outcome]) -> None:
    """Refuse a figure of a strategy, a task, a learning rate or an option that there is not. Raises UserError."""
    from peftcli.report import figures
    from peftcli.report.figures.spec import KINDS

    study = figures.Study(recipe, outcomes, Path())
    for figure in drawn:
        try:
            KINDS[figure.kind].read(figure, study)
        except UserError as error:
            raise UserError(f"recipe {recipe.path.name}: figure {figure.name}: {error}") from None


def _check_claims(recipe: Recipe, claims: "Sequence[Claim]", table: Table) -> None:
    """Refuse a claim about a strategy, a column, an option or another recipe that there is not. Raises UserError."""
    from peftcli.report.claims import naming
    from peftcli.report.claims.gathering import gather

    others: dict[str, Table] = {}
    for claim in claims:
        for name in claim.tables:
            if name not in others:
                beside = recipes.load(recipe.path.parent / name)
                others[name] = _tabulate(beside, _nothing_run(beside))
        try:
            numbers = gather([table, *(others[name] for name in claim.tables)], printed=False)
            naming.check(claim, replace(numbers, beside=recipe.path.parent))
        except UserError as error:
            raise UserError(f"recipe {recipe.path.name}: claim {claim.claim[:60]!r}: {error}") from None
