"""The differences of a table over seeds and examples together: which there are, and what to know of them. No torch."""

from collections.abc import Iterator, Sequence

from peftcli.report.table import naming
from peftcli.report.table.cells import SCALES
from peftcli.report.table.differences import Difference, Differences
from peftcli.report.table.resampling import NOT_KEPT, OverExamples, Pair, Runs
from peftcli.report.table.spec import View
from peftcli.report.table.table import AtRate, Cell, Table

Grid = tuple[tuple[OverExamples | None, ...], ...]  # [rows, columns] of the table, None where there is no difference


def runs(cell: Cell, view: View, at: AtRate | None = None) -> Runs:
    """Return the runs that a cell of ours is over, of the rate that it stands for or of another one."""
    values, files = (cell.values, cell.files) if at is None else (at.values, at.files)
    return Runs(cell.task, cell.split, cell.metric, values, files, SCALES[view.scale])


def pairs(table: Table, differences: Differences) -> list[Pair]:
    """Return the cells that are compared over seeds with their references, row by row."""
    # As each difference is tested over seeds: the recipe fixes whether runs pair.
    return [
        Pair(runs(each.cell, table.view), runs(each.reference, table.view), each.contrast.test == "paired t")
        for of_row in differences
        for each in of_row
        if each is not None and not each.contrast.why_not
    ]


def lay_out(differences: Differences, compared: Sequence[OverExamples]) -> Grid:
    """Put what the `pairs` of a table came to where their differences stand; one without a test says why."""
    following = iter(compared)

    def over(difference: Difference | None) -> OverExamples | None:
        if difference is None:
            return None
        why_not = difference.contrast.why_not
        return OverExamples(None, why_not) if why_not else next(following)

    return tuple(tuple(over(difference) for difference in of_row) for of_row in differences)


def notes(grid: Grid, differences: Differences) -> Iterator[str]:
    """Say what the intervals over seeds and examples hold, and where there is none; nothing where no predictions were kept."""
    told = [
        (each, difference)
        for row, of_row in zip(grid, differences, strict=True)
        for each, difference in zip(row, of_row, strict=True)
        if each is not None and difference is not None
    ]
    if not any(each.joint for each, _ in told):
        # Of a difference without a test nothing more is said than that it has none.
        told = [
            (each, difference)
            for each, difference in told
            if each.why_not != NOT_KEPT and not difference.contrast.why_not
        ]
    else:
        yield (
            "The p and its interval are about other seeds on these examples. The interval over seeds and examples is about "
            "other seeds on as many other examples (Multi-Bootstrap with Student's t; a token task's sentences are drawn whole)."
        )
    reasons: dict[str, list[Cell]] = {}
    for each, difference in told:
        if each.why_not and not difference.contrast.why_not:
            reasons.setdefault(each.why_not, []).append(difference.cell)
    for why_not, cells in reasons.items():
        yield f"No interval over seeds and examples: {why_not} ({naming.cells(cells)})."
