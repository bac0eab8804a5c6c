"""A cell beside the one that the paper printed: how far apart they are, and whether that is more than chance. No torch."""

from collections.abc import Iterator
from dataclasses import replace

from peftcli.report.statistics import against_printed
from peftcli.report.statistics.contrast import ALPHA, Sample
from peftcli.report.table.published import Published
from peftcli.report.table.table import Cell, Table


def put(cell: Cell, printed: Published | None) -> Cell:
    """Put the printed cell beside ours; a cell copied from another paper is shown, but no difference is taken."""
    if printed is None:
        return cell
    # A mean, or a maximum where there is no mean: the two need not be of one kind, some papers print maxima alone.
    ours, theirs = cell.shown, printed.shown
    if printed.copied_from or ours is None or theirs is None:
        return replace(cell, published=printed)
    sample = Sample.of(cell.values) if cell.mean is not None else None
    p_value = (
        None
        if sample is None
        else against_printed.p_value(
            sample,
            printed.mean,
            printed.std,
            printed.n,
            printed.ddof,
            # Half of a last digit.
            rounding=0.5 * 10**-printed.decimals,
            rounding_of_deviation=0.5 * 10**-printed.std_decimals,
        )
    )
    return replace(cell, published=printed, difference=ours - theirs, published_p=p_value)


def notes(table: Table) -> Iterator[str]:
    """Say how many cells are marked as other than printed, and how many would be by chance alone."""
    tested = [cell.differs for cell in table.cells() if cell.differs is not None]
    if tested:
        chance = len(tested) * ALPHA
        yield (
            f"‡ {sum(tested)} of {len(tested)} cells marked as other than printed; about {chance:.2g} "
            f"{'is' if f'{chance:.2g}' == '1' else 'are'} expected by chance, were our runs more of the paper's."
        )
