"""Which cells are not shown to differ from the best of their column: its tie group, by Games–Howell's test. No torch.

Ranks order what was measured; a tie group says how far that order can be trusted. Every cell is compared with the best one,
corrected for all pairs of the column's rows, so that the best need not have been named beforehand. A cell outside the
group is another than the best; one inside it is not shown to be, which is not the same as being equal.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from peftcli.report.statistics import describe, games_howell
from peftcli.report.statistics.contrast import ALPHA, COLLAPSED_AMONG_FEW, LEAST_SEEDS, Sample, collapsed_among_few
from peftcli.report.table import contenders, naming, ranks
from peftcli.report.table.ranks import Position
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell, Row, Table, Tie

SIGN = "§"
Rivals = Sequence[Sequence[tuple[Position, Cell]]]


@dataclass(frozen=True)
class Rounded:
    """A sample, and how far its mean may be from what is printed: half a last digit, 0 for our own."""

    sample: Sample
    rounding: float = 0.0


def group(samples: Sequence[Sample]) -> list[bool | None]:
    """Return for each sample whether it is in the best one's group, the best included; None where it takes no part."""
    ties = compare([Rounded(sample) for sample in samples], range(len(samples)))
    return [None if tie is None else tie.tied for tie in ties]


def compare(samples: Sequence[Rounded], candidates: Collection[int]) -> list[Tie | None]:
    """Compare the candidates, by their index, with the best of them; corrected for all pairs of all samples.

    None for a sample that is no candidate or has no test: fewer than three seeds, or, as the best, no variance. A rounded
    mean counts as far towards the best as its digits allow, and the best towards it.
    """
    able = [i for i in candidates if samples[i].sample.deviation is not None and samples[i].sample.n >= LEAST_SEEDS]
    if len(able) < 2:
        return [None] * len(samples)
    best = max(able, key=lambda i: samples[i].sample.mean)
    lowest = samples[best].sample.mean - samples[best].rounding
    # Never beyond the best: within their rounding two means may be equal.
    nearest = [replace(each.sample, mean=min(each.sample.mean + each.rounding, lowest)) for each in samples]
    p_values = games_howell.against(nearest, best)
    ties = [
        Tie(p_value > ALPHA, p_value) if i in able and p_value is not None else None
        for i, p_value in enumerate(p_values)
    ]
    if any(ties):
        ties[best] = Tie(True, None)
    return ties


def mark(rows: Sequence[Row], view: View) -> tuple[Row, ...]:
    """Return the rows with the tie groups of our numbers, among the cells that compete for a rank."""
    ours = _by_position(ranks.rivals(rows, view), _ours)
    return tuple(
        replace(row, cells=tuple(cell and replace(cell, tie=ours.get((r, c))) for c, cell in enumerate(row.cells)))
        for r, row in enumerate(rows)
    )


def printed(table: Table) -> dict[Position, Tie | None]:
    """Return the tie groups of the printed columns, by row and column; maxima and copied cells take no part.

    Made when asked for, since they need SciPy and a table may be all printed numbers.
    """
    rivals = ranks.rivals(table.rows, table.view)
    # The paper's rows have its means, also where we have no run; nobody printed what was held out.
    as_printed = [[(p, replace(cell, mean=_mean(cell), held_out=None)) for p, cell in group] for group in rivals]
    return _by_position(as_printed, _printed)


def _by_position(rivals: Rivals, take: Callable[[Cell], Rounded | None]) -> dict[Position, Tie | None]:
    """Return each cell's tie by its position; `take` says what a cell is compared by, None where it takes no part."""
    ties: dict[Position, Tie | None] = {}
    for group in rivals:
        taken = {id(cell): (position, rounded) for position, cell in group if (rounded := take(cell))}
        strategies = contenders.of(cell for _, cell in group)
        # A rate that held-out examples choose is one of one. Chosen by its mean it is the best of several, so that all of
        # them count in the correction.
        family = [cell for each in strategies for cell in ((each.cell,) if each.held_out else each.rows)]
        family = [cell for cell in family if id(cell) in taken]
        standing = {id(each.cell) for each in strategies}
        candidates = [i for i, cell in enumerate(family) if id(cell) in standing]
        compared = compare([taken[id(cell)][1] for cell in family], candidates)
        ties |= {taken[id(cell)][0]: tie for cell, tie in zip(family, compared, strict=True)}
    return ties


def _ours(cell: Cell) -> Rounded | None:
    sample = None if cell.mean is None or _why_not(cell) else Sample.of(cell.values)
    return None if sample is None else Rounded(sample)


def _why_not(cell: Cell) -> str:
    """Say why a cell with a mean takes no part; "" where it does."""
    sample = Sample.of(cell.values)
    if sample is None or sample.n < LEAST_SEEDS:
        return f"fewer than {LEAST_SEEDS} seeds"
    return COLLAPSED_AMONG_FEW if collapsed_among_few(bool(cell.collapsed), sample.n) else ""


def _mean(cell: Cell) -> float | None:
    return None if cell.published is None or cell.published.copied_from else cell.published.mean


def _printed(cell: Cell) -> Rounded | None:
    theirs = cell.published
    if theirs is None or cell.mean is None or theirs.std is None:
        return None
    # At the least extreme of what the digits stand for, as beside our own cell.
    widest = theirs.std + 0.5 * 10**-theirs.std_decimals
    sample = Sample.printed(cell.mean, widest, theirs.n, theirs.ddof or 0)
    return None if sample.n < LEAST_SEEDS else Rounded(sample, 0.5 * 10**-theirs.decimals)


def notes(table: Table) -> Iterator[str]:
    """Say which row § compares where a strategy has several, what flatters it, and who takes no part, and why."""
    groups = [contenders.of(cell for _, cell in group) for group in ranks.rivals(table.rows, table.view)]
    strategies = [each for group in groups if len(group) > 1 for each in group]  # alone there is nothing to compare
    compared = [each for each in strategies if each.cell.tie is not None]
    if any(len(each.rows) > 1 and each.held_out for each in compared):
        yield f"{SIGN} compares one row a strategy: its learning rate that held-out examples choose."
    if any(len(each.rows) > 1 and not each.held_out for each in compared):
        yield f"{SIGN} compares one row a strategy: its learning rate with the best mean, corrected for all rows."
    if any(each.cell.flattery is not None for each in compared):
        yield f"{SIGN} compares learning rates that were chosen on the same numbers, uncorrected for that choice."
    apart: dict[str, list[Cell]] = {}
    for each in strategies:
        if each.cell.tie is None:
            why_not = _why_not(each.cell) or (
                "no variance" if (each.cell.std or 0) < 10**-describe.DECIMALS else "no other row takes part"
            )
            apart.setdefault(why_not, []).append(each.cell)
    for why_not, cells in apart.items():
        where = "everywhere" if len(cells) == len(strategies) else naming.cells(cells)
        yield f"Not compared for {SIGN}: {why_not} ({where})."


def notes_on_printed(table: Table, tied: Mapping[Position, Tie | None]) -> Iterator[str]:
    """Say how the printed cells were compared that have these ties; nothing where none has."""
    if not any(tied.values()):
        return
    yield (
        f"{SIGN} on a printed line is from the printed means, deviations and n, at the least extreme of what their digits "
        "stand for; printed cells without them, and copied ones, take no part."
    )
    if "learning_rate" in table.view.rows:
        yield f"{SIGN} on a printed line compares a strategy's learning rate with the best mean, corrected for all rows."
