"""Ranks of a table's cells within their column, for the mean and for the standard deviation. No torch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from peftcli.report.statistics import describe
from peftcli.report.table.selectors import Selector
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell, Row, RowAverage

Position = tuple[int, int]  # row, column


def rank(rows: Sequence[Row], view: View) -> tuple[Row, ...]:
    """Return the rows with ranks: 1 for the best mean and the lowest deviation of a task column, equal as printed tied.

    Cells are ranked within one task column and one value of each of the view's `within`; `unranked` ones take no part.
    """
    by_mean, by_std = _cell_ranks(rows, view, "shown"), _cell_ranks(rows, view, "std")
    averages = _ranked_averages(rows, view)
    return tuple(
        replace(
            row,
            cells=tuple(
                cell and replace(cell, rank=by_mean.get((r, c)), std_rank=by_std.get((r, c)))
                for c, cell in enumerate(row.cells)
            ),
            average=averages[r],
        )
        for r, row in enumerate(rows)
    )


def rivals(rows: Sequence[Row], view: View) -> list[list[tuple[Position, Cell]]]:
    """Return the cells that compete, group by group: those of one task column and one value of each of `within`.

    Cells of `unranked` strategies are in none.
    """
    unranked = [Selector.parse(text) for text in view.unranked]
    # A table column can hold several task columns (where rows run over tasks): cells compete with their like alone.
    groups: dict[tuple[object, ...], list[tuple[Position, Cell]]] = {}
    for r, row in enumerate(rows):
        for c, cell in enumerate(row.cells):
            if cell is None or any(selector.fits(cell) for selector in unranked):
                continue
            settings = {**cell.options, **cell.setting}
            within = (str(settings.get(name)) for name in view.within)
            groups.setdefault((cell.task_entry, cell.column, cell.metric, *within), []).append(((r, c), cell))
    return list(groups.values())


def _cell_ranks(rows: Sequence[Row], view: View, field: Literal["shown", "std"]) -> dict[Position, int]:
    """Rank cells by their mean (or maximum), or by their deviation, the lowest first; those without one have none."""
    ranks: dict[Position, int] = {}
    for group in rivals(rows, view):
        # Competition ranks (1, 2, 2, 4) of the printed digits, as the effectiveness paper's Table 1 has them.
        values = [getattr(cell, field) for _, cell in group]
        competition = describe.rank(values, higher_is_better=field != "std", decimals=view.decimals)
        ranks |= {position: int(r) for (position, _), r in zip(group, competition, strict=True) if r is not None}
    return ranks


def _ranked_averages(rows: Sequence[Row], view: View) -> list[RowAverage | None]:
    """Rank the rows' averages; a row with an unranked cell takes no part."""
    unranked = [Selector.parse(text) for text in view.unranked]
    taking_part = [
        row.average if not any(s.fits(cell) for s in unranked for cell in row.cells if cell is not None) else None
        for row in rows
    ]
    means = describe.rank([average.mean if average else None for average in taking_part], decimals=view.decimals)
    stds = describe.rank([average.std if average else None for average in taking_part], False, decimals=view.decimals)
    return [
        row.average and replace(row.average, rank=None if m is None else int(m), std_rank=None if s is None else int(s))
        for row, m, s in zip(rows, means, stds, strict=True)
    ]
