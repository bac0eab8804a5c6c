"""Which pairs of numbers a check compares, and a table's reference: looked up as judges do, before there is a verdict."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from peftcli.report.claims.comparing import Best, Better, Mostly, Order, Within, Worst
from peftcli.report.claims.counting import HowMany, TimesBest, Top
from peftcli.report.claims.evidence import Evidence, Key, Number, best, goodness
from peftcli.report.claims.spec import Check
from peftcli.report.claims.steps import takers
from peftcli.report.claims.testing import Overlap, Welch
from peftcli.report.table.selectors import Selector
from peftcli.report.table.spec import View

# A side is None where a name has no number of its own in that column: the cells may all be copied from other papers.
Pair = tuple[Number | None, Number | None]


@dataclass(frozen=True)
class Part:
    """Pairs of which at least `needed` must come out as a check says."""

    needed: int
    pairs: tuple[Pair, ...]


def of_check(check: Check, evidence: Evidence) -> list[Part]:
    """Return the pairs of means that a check compares, each once; none where it compares no means. Raises UserError."""
    if getattr(check, "measure", "mean") != "mean":
        return []
    columns = [_once(_in_column(check, evidence, key)) for key in evidence.columns(check.on)]
    if isinstance(check, HowMany):  # enough of them, in each column
        parts = [Part(check.at_least, column) for column in columns]
    else:
        together = tuple(pair for column in columns for pair in column)
        most = int(check.share * len(together)) + 1 if isinstance(check, Mostly) else len(together)
        parts = [Part(most, together)]
    return [Part(min(part.needed, len(part.pairs)), part.pairs) for part in parts if part.pairs]


def of_reference(view: View, evidence: Evidence) -> list[Pair]:
    """Return every number of the recipe's own table beside the reference's best in its column, row by row."""
    if view.reference is None:
        return []
    selector = Selector.parse(view.reference)
    numbers = [number for number in evidence.numbers if number.table == 0]
    columns: dict[Key, list[Number]] = {}
    for number in numbers:
        if selector.fits(number):
            columns.setdefault(number.key, []).append(number)
    references = {key: best(of, "mean") for key, of in columns.items()}
    return [(number, references.get(number.key)) for number in numbers if not selector.fits(number)]


def margin(check: Check) -> float:
    """Return the margin that a check names, in the table's unit; 0 where it names none."""
    named = (getattr(check, name, None) for name in ("by", "points", "margin"))
    return next((float(value) for value in named if value), 0.0)


def _in_column(check: Check, evidence: Evidence, key: Key) -> Iterable[Pair]:
    """Yield what a check compares in one column; every kind that compares no two means of a column yields nothing."""
    match check:
        case Better() | Within():
            other = best(evidence.rows([check.than], key), "mean")
            yield from ((one, other) for one in takers(check.strategies, check.take, evidence, key, "mean"))
        case Overlap() | Welch():
            other = best(evidence.rows([check.than], key), "mean")
            yield from ((one, other) for one in takers(check.strategies, "best", evidence, key, "mean"))
        case HowMany():
            other = best(evidence.rows([check.than], key), "mean")
            ones: Sequence[Number | None] = _others([check.than], evidence.contenders(None, key))
            if check.strategies is not None:
                ones = takers(check.strategies, "best", evidence, key, "mean")
            yield from ((one, other) for one in ones)
        case Order():
            yield from itertools.pairwise(best(evidence.rows([name], key), "mean") for name in check.strategies)
        case Mostly():
            others = evidence.rows([check.than], key)
            for one in evidence.rows([check.strategy], key):
                same = [o for o in others if all(o.options.get(m) == one.options.get(m) for m in check.match)]
                yield one, best(same, "mean")
        case Best() | Top():
            names = check.among if isinstance(check, Best) else [check.strategy]
            winner = best(evidence.rows(names, key), "mean")
            rivals = evidence.contenders(check.of if isinstance(check, Best) else None, key)
            yield from ((winner, rival) for rival in _others(names, rivals))
        case Worst():
            loser = _worst(evidence.rows(check.among, key))
            yield from ((rival, loser) for rival in _others(check.among, evidence.contenders(check.of, key)))
        case TimesBest():
            rivals = evidence.contenders(check.of, key)
            for name in check.times:
                winner = best(evidence.rows([name], key), "mean")
                yield from ((winner, rival) for rival in _others([name], rivals))


def _once(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    # By identity: two rows may have equal numbers.
    each = {(id(one), id(other)): (one, other) for one, other in pairs if one is not other or one is None}
    return tuple(each.values())


def _others(names: Sequence[str], numbers: Sequence[Number]) -> list[Number]:
    selectors = [Selector.parse(name) for name in names]
    return [number for number in numbers if not any(selector.fits(number) for selector in selectors)]


def _worst(numbers: Sequence[Number]) -> Number | None:
    """Return the worst of some numbers; an undecided one if there is any, as `best` does."""
    troubled = next((number for number in numbers if number.undecided("mean")), None)
    if troubled is not None or not numbers:
        return troubled
    return min(numbers, key=lambda number: goodness(number, "mean"))
