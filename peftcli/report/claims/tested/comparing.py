"""Testing checks that compare strategies: better, within, order, mostly, how many, welch, descends. By Student's t."""

import itertools
from collections.abc import Sequence

from peftcli.report.claims.answers import CheckAnswer, Comparison, Part
from peftcli.report.claims.comparing import Better, Mostly, Order, Within
from peftcli.report.claims.counting import HowMany
from peftcli.report.claims.evidence import Evidence, Key, Number
from peftcli.report.claims.tested import sides
from peftcli.report.claims.tested.registry import conclude, tests, untested
from peftcli.report.claims.testing import Descends, Welch
from peftcli.report.statistics import combining
from peftcli.report.statistics.combining import Statement
from peftcli.report.table.selectors import Selector

ALL_OF = "all must be shown, uncorrected; against it, Holm"
Outcome = tuple[Comparison, Statement]


@tests(Better)
def better(check: Better, evidence: Evidence) -> CheckAnswer:
    """Test whether each of some strategies is above another, by more than a margin where there is one."""
    return _all_above(check, evidence, check.by, check.by)


@tests(Within)
def within(check: Within, evidence: Evidence) -> CheckAnswer:
    """Test whether each of some strategies is at most so many points below another."""
    return _all_above(check, evidence, -check.points, check.points)


@tests(Order)
def order(check: Order, evidence: Evidence) -> CheckAnswer:
    """Test whether each of some strategies is above the next."""
    tested = [
        above(evidence.rows([one], key), evidence.rows([other], key), evidence, evidence.name(key))
        for key in evidence.columns(check.on)
        for one, other in itertools.pairwise(check.strategies)
    ]
    return conclude(check, [at_least(len(tested), tested)] if tested else [], ALL_OF)


@tests(Mostly)
def mostly(check: Mostly, evidence: Evidence) -> CheckAnswer:
    """Test whether enough rows are above their counterparts."""
    tested = []
    for key in evidence.columns(check.on):
        others = evidence.rows([check.than], key)
        for one in evidence.rows([check.strategy], key):
            same = [o for o in others if all(o.options.get(m) == one.options.get(m) for m in check.match)]
            tested.append(above([one], same, evidence, evidence.name(key)))
    needed = int(check.share * len(tested)) + 1  # strictly more than the share
    return conclude(check, [at_least(needed, tested)], _at_least_words(needed, len(tested)))


@tests(HowMany)
def how_many(check: HowMany, evidence: Evidence) -> CheckAnswer:
    """Test whether enough strategies are above another, in each column."""
    parts = []
    for key in evidence.columns(check.on):
        others = evidence.rows([check.than], key)
        if check.strategies is not None:
            ones = [evidence.rows([name], key) for name in check.strategies]
        else:
            selector = Selector.parse(check.than)
            ones = [[number] for number in evidence.contenders(None, key) if not selector.fits(number)]
        parts.append(at_least(check.at_least, [above(one, others, evidence, evidence.name(key)) for one in ones]))
    words = _at_least_words(check.at_least, len(parts[0].comparisons)) if parts else ""
    return conclude(check, parts, words)


@tests(Welch)
def welch(check: Welch, evidence: Evidence) -> CheckAnswer:
    """Test whether strategies are lower or higher than another, or within a margin of it."""
    if check.margin is None and check.is_ == "not different":
        # That a test tells nothing apart shows nothing: with fewer seeds it would tell less.
        return untested(check, "no margin")
    tested = []
    for key in evidence.columns(check.on):
        for name in check.strategies:
            rows = evidence.rows([name], key), evidence.rows([check.than], key)
            both = sides.sides(*rows, evidence.name(key))
            tested.append(_differs(check, both, evidence))
    return conclude(check, [at_least(len(tested), tested)] if tested else [], ALL_OF)


def _differs(check: Welch, both: sides.Sides, evidence: Evidence) -> Outcome:
    if check.is_ in ("lower", "higher"):
        statement = sides.statement(both, 0.0)
        statement = statement if check.is_ == "higher" else combining.opposite(statement)
        return sides.comparison(both, 0.0, statement, evidence), statement
    if check.margin is None:  # different, whichever way: the interval is beside zero
        either = sides.statement(both, 0.0)
        # Nothing could show that two means are the same to the last digit.
        shown = min(either.supporting, either.against)
        statement = Statement(shown, 1.0, None if either.leans is None else True, either.why_not)
        return sides.comparison(both, 0.0, statement, evidence), statement
    near = sides.statement(both, check.margin, "near")
    statement = near if check.is_ == "not different" else combining.opposite(near)
    return sides.comparison(both, check.margin, statement, evidence, "near", check.margin), statement


@tests(Descends)
def descends(check: Descends, evidence: Evidence) -> CheckAnswer:
    """Test whether every row falls from each column to the next; in pairs where seeds and task are the same."""
    tested = []
    for first, second in itertools.pairwise(evidence.columns(check.on)):
        after = {(number.table, number.row): number for number in evidence.rows(check.strategies, second)}
        for one in evidence.rows(check.strategies, first):
            other = after.get((one.table, one.row))
            words = f"{evidence.name(first)} to {evidence.name(second)}"
            tested.append(above([one], [other] if other else [], evidence, words))
    return conclude(check, [at_least(len(tested), tested)] if tested else [], ALL_OF)


def above(
    ones: Sequence[Number],
    others: Sequence[Number],
    evidence: Evidence,
    column: str,
    boundary: float = 0.0,
    margin: float = 0.0,
) -> Outcome:
    """Test whether the best of some rows is above the best of others by more than a boundary."""
    both = sides.sides(ones, others, column)
    statement = sides.statement(both, boundary)
    return sides.comparison(both, boundary, statement, evidence, margin=margin), statement


def at_least(needed: int, tested: Sequence[Outcome]) -> Part:
    """Return the part of a check of which so many comparisons must come out as claimed."""
    return Part(needed, tuple(each for each, _ in tested), combining.at_least(needed, [each for _, each in tested]))


def _all_above(check: Better | Within, evidence: Evidence, boundary: float, margin: float) -> CheckAnswer:
    """Test every strategy of a check against the one it names, column by column; all must come out so."""
    tested = []
    for key in evidence.columns(check.on):
        others = evidence.rows([check.than], key)
        for rows in _takers(check, evidence, key):
            tested.append(above(rows, others, evidence, evidence.name(key), boundary, margin))
    return conclude(check, [at_least(len(tested), tested)] if tested else [], ALL_OF)


def _takers(check: Better | Within, evidence: Evidence, key: Key) -> list[list[Number]]:
    """Return the rows whose best each comparison is about: of a name, of all names together, or each row by itself."""
    if check.take == "every":
        return [[number] for name in check.strategies for number in evidence.rows([name], key)]
    if check.take == "any":
        return [evidence.rows(check.strategies, key)]
    return [evidence.rows([name], key) for name in check.strategies]


def _at_least_words(needed: int, of: int) -> str:
    return f"at least {needed} of {of}: the {needed}th smallest p times {of - needed + 1} (partial conjunction)"
