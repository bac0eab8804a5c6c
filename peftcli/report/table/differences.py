"""How far each strategy is from the one that its table compares with, tested over seeds. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from peftcli.report.statistics import describe, significance
from peftcli.report.statistics.significance import Test
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Cell, Table


@dataclass(frozen=True)
class Difference:
    """A cell's mean minus the reference's, in the table's unit, and its test: paired where the seeds are the same.

    `reference` is the cell compared with: the reference strategy's best in that column.
    """

    difference: float
    test: Test
    reference: Cell


Differences = tuple[tuple[Difference | None, ...], ...]  # [rows, columns] of the table


def from_reference(table: Table) -> Differences | None:
    """Compare every cell with the view's `reference`; None for its own cells and where a side has no value.

    None altogether where the table names no reference, does not have it, or has no values over seeds.
    """
    # A maximum over runs has no seeds to test over.
    if table.view.reference is None or table.view.cell != "mean±std":
        return None
    selector = Selector.parse(table.view.reference)
    references = [cell for cell in table.cells() if selector.fits(cell)]
    if not references:
        return None
    return tuple(
        tuple(None if cell is None or selector.fits(cell) else compare(cell, references) for cell in row.cells)
        for row in table.rows
    )


def compare(cell: Cell, references: list[Cell]) -> Difference | None:
    """Compare a cell with the best of the references in its column; None where there is nothing to compare."""
    column = (cell.task_entry, cell.column, cell.metric)
    # Several references share a column where learning rates or options have rows of their own.
    same = [c for c in references if (c.task_entry, c.column, c.metric) == column and c.mean is not None]
    if not same or cell.mean is None:
        return None
    reference = max(same, key=lambda other: other.mean or 0.0)
    if reference.mean is None:
        return None
    return Difference(cell.mean - reference.mean, significance.compare(cell.values, reference.values), reference)


def notes(table: Table, differences: Differences) -> Iterator[str]:
    """Say how the differences were tested, and what so few seeds cannot show."""
    compared = [difference for row in differences for difference in row if difference is not None]
    tests = dict.fromkeys(difference.test.name for difference in compared)
    tested = sum(difference.test.p_value is not None for difference in compared)
    yield (
        f"Differences from {table.view.reference}, with the two-sided p by seed ({', '.join(tests)}; paired where the "
        f"seeds are the same), not corrected for the {tested} comparisons."
    )
    few = min((cell.n for cell in table.cells() if cell.n), default=0)
    if "Wilcoxon signed-rank" in tests and 0 < few < describe.FEW:
        # Every seed on one side: 2 of the 2^n sign patterns are as extreme.
        yield f"With {few} seeds the smallest p that Wilcoxon's test can reach is {2 / 2**few:.2g}."
