"""Which two numbers stand for a comparison when seeds are planned, and what is compared with a table's reference."""

from collections.abc import Sequence

from peftcli.report.claims.evidence import Evidence, Key, Number, at_chosen_rates
from peftcli.report.claims.tested.listing import Compared, Ranked
from peftcli.report.table.selectors import Selector
from peftcli.report.table.spec import View

# A side is None where a name has no number of its own in that column: the cells may all be copied from other papers.
Pair = tuple[Number | None, Number | None]


def in_lead(compared: Compared | Ranked) -> Pair:
    """Return the two numbers that decide a comparison, as its test has them: the best of either side.

    Of a column's rows the one in front and the one that could take its place.
    """
    worst, which = (compared.worst, compared.places or 1) if isinstance(compared, Ranked) else (False, 1)
    return _number(compared.ones, worst), _number(compared.others, worst, which)


def with_reference(view: View, evidence: Evidence) -> list[Compared]:
    """Return every number of the recipe's own table beside the reference's in its column, row by row."""
    if view.reference is None:
        return []
    selector = Selector.parse(view.reference)
    numbers = [number for number in evidence.numbers if number.table == 0]
    columns: dict[Key, list[Number]] = {}
    for number in numbers:
        if selector.fits(number):
            columns.setdefault(number.key, []).append(number)
    references = {key: tuple(at_chosen_rates(of)) for key, of in columns.items()}
    return [
        Compared(number.column_label, (number,), references.get(number.key, ()))
        for number in numbers
        if not selector.fits(number)
    ]


def _number(numbers: Sequence[Number], worst: bool, which: int = 1) -> Number | None:
    """Return the number with the best mean (or the worst), or the one behind so many; one without a mean, if there is any."""
    # It could turn out anywhere.
    undecided = next((number for number in numbers if number.undecided("mean")), None)
    if undecided is not None or which > len(numbers):
        return undecided
    return sorted(numbers, key=lambda number: number.mean or 0.0, reverse=not worst)[which - 1]
