"""Ranks of a table's cells within their column, for the mean and for the standard deviation. No torch."""

from collections.abc import Sequence
from dataclasses import replace

from peftcli.report.statistics import describe
from peftcli.report.table.selectors import Selector
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell, Row, RowAverage

Spot = tuple[int, int]  # row, column


def rank(rows: Sequence[Row], view: View) -> tuple[Row, ...]:
    """Give the rows with ranks: 1 for the best mean and the lowest deviation of a task column, equal as printed tied.

    Cells are ranked within one task column and one value of each of the view's `within`; `unranked` ones take no part.
    """
    means, deviations = _places(rows, view, "shown"), _places(rows, view, "std")
    averages = _averages(rows, view)
    return tuple(
        replace(
            row,
            cells=tuple(
                cell and replace(cell, rank=means.get((r, c)), std_rank=deviations.get((r, c)))
                for c, cell in enumerate(row.cells)
            ),
            average=averages[r],
        )
        for r, row in enumerate(rows)
    )


def _places(rows: Sequence[Row], view: View, field: str) -> dict[Spot, int]:
    spared = [Selector.parse(text) for text in view.unranked]
    groups: dict[tuple[object, ...], list[tuple[Spot, Cell]]] = {}
    for r, row in enumerate(rows):
        for c, cell in enumerate(row.cells):
            if cell is not None and not any(selector.fits(cell) for selector in spared):
                groups.setdefault(_group(cell, view), []).append(((r, c), cell))
    found: dict[Spot, int] = {}
    for group in groups.values():
        values = [getattr(cell, field) for _, cell in group]
        places = describe.rank(values, higher_is_better=field != "std", decimals=view.decimals)
        found |= {spot: int(place) for (spot, _), place in zip(group, places, strict=True) if place is not None}
    return found


def _group(cell: Cell, view: View) -> tuple[object, ...]:
    known = {**cell.options, **cell.setting}
    return cell.task_entry, cell.column, cell.metric, *(str(known.get(name)) for name in view.within)


def _averages(rows: Sequence[Row], view: View) -> list[RowAverage | None]:
    spared = [Selector.parse(text) for text in view.unranked]
    taking_part = [
        row.average is not None and not any(s.fits(cell) for s in spared for cell in row.cells if cell is not None)
        for row in rows
    ]
    means = [row.average.mean if row.average and part else None for row, part in zip(rows, taking_part, strict=True)]
    stds = [row.average.std if row.average and part else None for row, part in zip(rows, taking_part, strict=True)]
    by_mean = describe.rank(means, decimals=view.decimals)
    by_std = describe.rank(stds, higher_is_better=False, decimals=view.decimals)
    return [
        row.average and replace(row.average, rank=_whole(mean), std_rank=_whole(std))
        for row, mean, std in zip(rows, by_mean, by_std, strict=True)
    ]


def _whole(place: float | None) -> int | None:
    return None if place is None else int(place)
