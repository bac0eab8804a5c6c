"""`peftcli report`: a recipe's table, claims and notes from the records in a folder, in any format. No torch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from peftcli.errors import unknown
from peftcli.experiment import plan
from peftcli.experiment.recipe import Recipe
from peftcli.report.claims import with_examples
from peftcli.report.formats import data, latex, markdown, terminal
from peftcli.report.summary import Report, of_outcomes, summarise
from peftcli.report.table import over_examples, resampling, selection
from peftcli.report.table.differences import from_reference

# What is plain text of a summary alone: HTML needs the records again, for its figures.
TEXTS: dict[str, Callable[[Report], str]] = {
    "markdown": markdown.render,
    "latex": latex.render,
    "csv": data.to_csv,
    "json": data.to_json,
}
FORMATS = ("terminal", *TEXTS, "html")


def report(recipe: Recipe, output: Path, form: str, against: bool = False, styled: bool = False) -> str:
    """Write a recipe's report from the records under `output`; `against` sets the published values beside ours.

    `form` is one of FORMATS; `styled` lets a terminal have colours and bold, unless NO_COLOR says otherwise. HTML has
    the recipe's figures too. Raises UserError for another format, and for a table, claim or figure that does not fit
    the recipe.
    """
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if form == "html":
        return page(recipe, output, against)[1]
    summary = summarise(recipe, output, against)
    # A CSV has a line a cell: no differences and no claims.
    if form != "csv":
        summary = _with_examples(summary)
    return terminal.render(summary, styled) if form == "terminal" else TEXTS[form](summary)


def page(recipe: Recipe, output: Path, against: bool = False, index: str | None = None) -> tuple[Report, str]:
    """Return what a recipe's report says, and its page in HTML, with the recipe's figures.

    `index` is the address of a page over several reports, which this one then links to. Raises UserError as `report` does.
    """
    # A page alone has figures, so it alone waits for matplotlib.
    from peftcli.report import figures
    from peftcli.report.formats import html

    outcomes = selection.outcomes(plan.expand(recipe), output)
    summary = _with_examples(of_outcomes(recipe, outcomes, output, against))
    return summary, html.render(summary, figures.draw_all(figures.Study(recipe, outcomes, output)), index)


def _with_examples(summary: Report) -> Report:
    """Add the differences and the claims' comparisons over seeds and examples together; each run is resampled once for both."""
    differences = from_reference(summary.table)
    of_table = over_examples.pairs(summary.table, differences) if differences else []
    compared = resampling.compare([*of_table, *with_examples.pairs(summary.claims)], summary.output)
    return replace(
        summary,
        over_examples=over_examples.lay_out(differences, compared[: len(of_table)]) if differences else None,
        claims=with_examples.put(summary.claims, compared[len(of_table) :]),
    )


def notes(recipe: Recipe, output: Path) -> tuple[str, ...]:
    """Return what a reader of a recipe's table must know: how numbers were chosen, what is missing, diverged, copied."""
    return summarise(recipe, output, against=False).table.notes
