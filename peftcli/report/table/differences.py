"""How far each strategy is from the one that its table compares with, tested over seeds by Student's t. No torch."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from peftcli.report.statistics.contrast import COLLAPSED_AMONG_FEW, Contrast, Sample, collapsed_among_few, contrast
from peftcli.report.table import contenders, naming
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Cell, Table


@dataclass(frozen=True)
class Difference:
    """A cell's mean minus the reference's, in the table's unit, with its test.

    `reference` stands for the reference strategy in that column; `rows_of_reference` is how many learning rates it was
    chosen among, and `flattered` whether that or the cell's own choice was made on the numbers that are compared.
    """

    contrast: Contrast
    cell: Cell
    reference: Cell
    rows_of_reference: int
    flattered: bool


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


def compare(cell: Cell, references: Sequence[Cell]) -> Difference | None:
    """Compare a cell with the reference in its column; None where there is nothing to compare."""
    column = (cell.task_entry, cell.column, cell.metric)
    # Several references share a column where learning rates or options have rows of their own.
    rivals = contenders.of(c for c in references if (c.task_entry, c.column, c.metric) == column)
    if not rivals or cell.mean is None:
        return None
    reference = max(rivals, key=lambda other: other.cell.mean or 0.0)
    tested = _test(cell, reference.cell)
    rows = sum(len(rival.rows) for rival in rivals)
    chosen_here = len(rivals) > 1 or reference.flattered or cell.flattery is not None
    return None if tested is None else Difference(tested, cell, reference.cell, rows, chosen_here)


def _test(cell: Cell, reference: Cell) -> Contrast | None:
    one, other = Sample.of(cell.values), Sample.of(reference.values)
    if one is None or other is None:
        return None
    # The recipe's seeds say whether runs pair, and not those that ended.
    tested = contrast(one, other, paired=cell.seeds is not None and cell.seeds == reference.seeds)
    if math.isnan(tested.estimate):  # no seed ended on both sides
        return replace(tested, estimate=one.mean - other.mean)
    # The test would find differences that are not there.
    if not tested.why_not and collapsed_among_few(bool(cell.collapsed or reference.collapsed), one.n, other.n):
        return replace(tested, why_not=COLLAPSED_AMONG_FEW)
    return tested


def notes(table: Table, differences: Differences) -> Iterator[str]:
    """Say how the differences were tested, what was chosen on the numbers that are compared, and where there is no p."""
    compared = [difference for row in differences for difference in row if difference is not None]
    tested = [difference for difference in compared if not difference.contrast.why_not]
    name = table.view.reference
    if not tested:
        yield f"Differences from {name}, without a test."
    else:
        yield (
            f"Differences from {name} with the two-sided p of Student's t over seeds, and the 95 % interval below; paired "
            "where the recipe plans the same seeds for both, else Welch's. Not corrected for the "
            f"{len(tested)} comparison{'s' * (len(tested) > 1)}: {_tests(tested)}."
        )
    several = {difference.reference.column: difference for difference in compared if difference.rows_of_reference > 1}
    if several:
        rows = max(difference.rows_of_reference for difference in several.values())
        yield f"{name} has up to {rows} rows in a column: compared with the best, {_choice(several.values())}."
    if any(difference.flattered for difference in tested):
        yield (
            "Learning rates were chosen on the numbers that are compared: p is not corrected for that, and flatters a "
            "strategy that had more rates to choose from."
        )
    for why_not, without in _apart(compared, lambda contrast: contrast.why_not).items():
        if why_not:
            where = "everywhere" if len(without) == len(compared) else naming.cells(d.cell for d in without)
            yield f"No p: {why_not} ({where})."


def _tests(tested: Sequence[Difference]) -> str:
    """Name each test with its n and, where there are several, how many cells it is of; the fewest by name."""
    kinds = _apart(tested, lambda contrast: f"{contrast.test} over {contrast.n}")
    if len(kinds) == 1:
        return next(iter(kinds))
    return ", ".join(f"{kind} ({len(of)} cell{'s' * (len(of) > 1)})" for kind, of in kinds.items())


def _choice(several: Iterable[Difference]) -> str:
    held_out = all(difference.reference.held_out is not None and not difference.flattered for difference in several)
    return "its learning rate chosen by held-out examples" if held_out else "by the mean that is shown"


def _apart(differences: Sequence[Difference], word: Callable[[Contrast], str]) -> dict[str, list[Difference]]:
    """Return the differences by a word for their tests, in the order in which words come."""
    apart: dict[str, list[Difference]] = {}
    for difference in differences:
        apart.setdefault(word(difference.contrast), []).append(difference)
    return apart
