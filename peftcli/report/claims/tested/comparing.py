"""What checks that compare strategies list: better, within, order, mostly, how many, welch, descends. By Student's t."""

import itertools
from collections.abc import Iterator

from peftcli.report.claims.comparing import Better, Mostly, Order, Within
from peftcli.report.claims.counting import HowMany
from peftcli.report.claims.evidence import Evidence, Key, Number
from peftcli.report.claims.tested.listing import Compared, Family, Listing, Relation, Rows, all_of
from peftcli.report.claims.tested.registry import lists
from peftcli.report.claims.testing import Descends, Welch
from peftcli.report.table.selectors import Selector

ALL_OF = "all must be shown, uncorrected; against it, Holm"


@lists(Better)
def better(check: Better, evidence: Evidence) -> Listing:
    """List each of some strategies above another, by more than a margin where there is one."""
    return all_of(_against(check, evidence, check.by, check.by), ALL_OF)


@lists(Within)
def within(check: Within, evidence: Evidence) -> Listing:
    """List each of some strategies at most so many points below another."""
    return all_of(_against(check, evidence, -check.points, check.points), ALL_OF)


@lists(Order)
def order(check: Order, evidence: Evidence) -> Listing:
    """List each of some strategies above the next."""
    return all_of(
        (
            Compared(evidence.name(key), _rows(evidence, [one], key), _rows(evidence, [other], key))
            for key in evidence.columns(check.on)
            for one, other in itertools.pairwise(check.strategies)
        ),
        ALL_OF,
    )


@lists(Mostly)
def mostly(check: Mostly, evidence: Evidence) -> Listing:
    """List rows above their counterparts, of which enough must be."""
    compared = []
    for key in evidence.columns(check.on):
        others = _rows(evidence, [check.than], key)
        for one in evidence.rows([check.strategy], key):
            same = tuple(o for o in others if all(o.options.get(m) == one.options.get(m) for m in check.match))
            compared.append(Compared(evidence.name(key), (one,), same))
    needed = int(check.share * len(compared)) + 1  # strictly more than the share
    return Listing((Family(needed, tuple(compared)),), _at_least(needed, len(compared)))


@lists(HowMany)
def how_many(check: HowMany, evidence: Evidence) -> Listing:
    """List strategies above another, of which enough must be in each column."""
    families = []
    for key in evidence.columns(check.on):
        if check.strategies is not None:
            ones = [_rows(evidence, [name], key) for name in check.strategies]
        else:
            selector = Selector.parse(check.than)
            ones = [(number,) for number in evidence.contenders(None, key) if not selector.fits(number)]
        others, name = _rows(evidence, [check.than], key), evidence.name(key)
        families.append(Family(check.at_least, tuple(Compared(name, one, others) for one in ones)))
    words = _at_least(check.at_least, len(families[0].compared)) if families else ""
    return Listing(tuple(families), words)


@lists(Welch)
def welch(check: Welch, evidence: Evidence) -> Listing:
    """List strategies lower or higher than another, or within a margin of it."""
    if check.margin is None and check.is_ == "not different":
        # That a test tells nothing apart shows nothing: with fewer seeds it would tell less.
        return Listing((), why_not="no margin")
    # Without a margin, different is whichever way: the interval is beside zero.
    relations: dict[str, Relation] = {"lower": "below", "higher": "above", "not different": "near"}
    relation = relations.get(check.is_, "different" if check.margin is None else "not near")
    margin = check.margin or 0.0 if relation in ("near", "not near") else 0.0
    return all_of(
        (
            Compared(
                evidence.name(key),
                _rows(evidence, [name], key),
                _rows(evidence, [check.than], key),
                relation,
                margin,
                margin,
            )
            for key in evidence.columns(check.on)
            for name in check.strategies
        ),
        ALL_OF,
    )


@lists(Descends)
def descends(check: Descends, evidence: Evidence) -> Listing:
    """List every row in a column above itself in the next; in pairs where seeds and task are the same."""
    compared = []
    for first, second in itertools.pairwise(evidence.columns(check.on)):
        after = {(number.table, number.row): number for number in evidence.rows(check.strategies, second)}
        for one in evidence.rows(check.strategies, first):
            other = after.get((one.table, one.row))
            words = f"{evidence.name(first)} to {evidence.name(second)}"
            compared.append(Compared(words, (one,), (other,) if other else ()))
    return all_of(compared, ALL_OF)


def _against(check: Better | Within, evidence: Evidence, boundary: float, margin: float) -> Iterator[Compared]:
    """Put every strategy of a check above a boundary from the one it names, column by column."""
    for key in evidence.columns(check.on):
        others = _rows(evidence, [check.than], key)
        for ones in _takers(check, evidence, key):
            yield Compared(evidence.name(key), ones, others, "above", boundary, margin)


def _takers(check: Better | Within, evidence: Evidence, key: Key) -> list[Rows]:
    """Return the rows whose best each comparison is about: of a name, of all names together, or each row by itself."""
    if check.take == "every":
        return [(number,) for name in check.strategies for number in evidence.rows([name], key)]
    if check.take == "any":
        return [_rows(evidence, check.strategies, key)]
    return [_rows(evidence, [name], key) for name in check.strategies]


def _rows(evidence: Evidence, names: list[str], key: Key) -> tuple[Number, ...]:
    return tuple(evidence.contenders(names, key))


def _at_least(needed: int, of: int) -> str:
    return f"at least {needed} of {of}: the {needed}th smallest p times {of - needed + 1} (partial conjunction)"
