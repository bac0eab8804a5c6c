"""Comparing two sides of a check: the best of the samples that one may stand for with the best of the other's.

A name may stand for several samples: its rows, each at its learning rates. "Its best is above the other's best" says that
any of the one's is above all of the other's; so that is tested, and choosing the best by the numbers judged costs what
Holm's correction takes. Both ends of the interval are those at which the test would turn.
"""

import math
from dataclasses import dataclass, replace

from peftcli.report.claims.answers import Comparison, Interval, Plan
from peftcli.report.claims.evidence import Candidate, Evidence, Number
from peftcli.report.claims.tested import planning
from peftcli.report.claims.tested.listing import Compared, Relation, Rows
from peftcli.report.statistics import combining
from peftcli.report.statistics.combining import Statement
from peftcli.report.statistics.contrast import ALPHA, NO_VARIANCE, Contrast, collapsed_among_few, contrast
from peftcli.report.statistics.describe import FEW
from peftcli.report.table import resampling

COLLAPSED = f"a collapsed run and fewer than {FEW} seeds"
DIVERGED = "a diverged run left no number"


@dataclass(frozen=True)
class Pair:
    """A candidate of one side beside one of the other, with their difference."""

    one: Candidate
    other: Candidate
    difference: Contrast


@dataclass(frozen=True)
class Sides:
    """What two sides of a comparison may stand for: every candidate of the one with every of the other, [one][other].

    `why_not` says what is not known of a side.
    """

    pairs: tuple[tuple[Pair, ...], ...]
    why_not: str
    labels: tuple[str, str]


def tested(compared: Compared, evidence: Evidence) -> tuple[Comparison, Statement]:
    """Test one comparison: in numbers, and what it comes to."""
    both = sides(compared.ones, compared.others)
    answer = statement(both, compared.boundary, compared.relation)
    return _comparison(both, compared, answer, evidence), answer


def sides(ones: Rows, others: Rows) -> Sides:
    """Put the rows of one name beside those of another."""
    unknown = next((n.untestable for n in (*ones, *others) if n.untestable), "")
    why_not = unknown if ones and others else "no number"
    one, other = ([(number, c) for number in side for c in number.candidates] for side in (ones, others))
    pairs = tuple(tuple(Pair(a, b, _difference(n, a, m, b)) for m, b in other) for n, a in one) if other else ()
    labels = tuple(" or ".join(dict.fromkeys(n.label for n in side)) or "no number" for side in (ones, others))
    return Sides(pairs, why_not, (labels[0], labels[1]))


def _difference(number: Number, one: Candidate, of_other: Number, other: Candidate) -> Contrast:
    # Seeds of other tasks, or of other numbers of a task, have nothing to do with each other.
    same = (number.column, number.metric) == (of_other.column, of_other.metric)
    paired = same and one.pairs is not None and one.pairs == other.pairs
    difference = contrast(one.sample, other.sample, paired)
    if difference.why_not and 0 in (one.sample.n, other.sample.n):
        return replace(difference, why_not="the number of seeds is not known")
    return difference


def statement(both: Sides, boundary: float, relation: Relation = "above") -> Statement:
    """Test how the one side's best stands to the other's best, at a boundary."""
    if relation == "above":
        return _above(both, boundary)
    if relation == "below":
        return combining.opposite(_above(both, boundary))
    if relation == "different":
        either = _above(both, 0.0)
        # Nothing could show that two means are the same to the last digit.
        shown = min(either.supporting, either.against)
        return Statement(shown, 1.0, None if either.leans is None else True, either.why_not)
    near = combining.between(_above(both, -boundary), combining.opposite(_above(both, boundary)))
    return near if relation == "near" else combining.opposite(near)


def _above(both: Sides, boundary: float) -> Statement:
    unknown = [combining.untested(both.why_not)] if both.why_not else []
    rows = [combining.all_of([_of_pair(pair, boundary) for pair in row] + unknown) for row in both.pairs]
    return combining.any_of(rows + unknown)


def _of_pair(pair: Pair, boundary: float) -> Statement:
    """Test one pair of candidates, capped by what is amiss with either."""
    if pair.difference.why_not == NO_VARIANCE:  # equal seeds show no error, so nothing says which way it leans either
        return combining.untested(NO_VARIANCE)
    tested = combining.above(pair.difference, boundary)
    if why_not := cap(pair.one, pair.other):
        return combining.capped(tested, why_not)
    # The more rates the best was chosen of by the numbers judged, the more it is flattered.
    if pair.one.choices > pair.other.choices:
        return replace(tested, supporting=1.0, why_not=uncorrected(pair.one, pair.other))
    if pair.other.choices > pair.one.choices:
        return replace(tested, against=1.0, why_not=uncorrected(pair.one, pair.other))
    return tested


def cap(one: Candidate, other: Candidate) -> str:
    """Say why a test of two candidates could lean at most; "" where it need not."""
    if one.diverged or other.diverged:
        return DIVERGED
    collapsed = bool(one.collapsed or other.collapsed)
    return COLLAPSED if collapsed_among_few(collapsed, one.sample.n, other.sample.n) else ""


def uncorrected(one: Candidate, other: Candidate) -> str:
    """Say that a number is the best of several of which the others are not known; "" where both are the only ones."""
    choices = " and ".join(map(str, dict.fromkeys((one.choices, other.choices))))
    return "" if choices == "1" else f"best of {choices} rates on the judged set, uncorrected"


def _comparison(both: Sides, compared: Compared, tested: Statement, evidence: Evidence) -> Comparison:
    """Return a comparison in numbers."""
    lead, column, boundary = _lead(both), compared.column, compared.boundary
    if lead is None:
        return Comparison(column, *both.labels, None, boundary, None, None, "", "", None, tested.answer, tested.why_not)
    # What is uncertain of a candidate that is not in the lead may still keep the whole from an answer.
    decided = tested.supporting < 1 or tested.against < 1
    estimate, bounds = lead.difference.estimate, interval(both, ALPHA)
    return Comparison(
        column=column,
        one=lead.one.label,
        other=lead.other.label,
        estimate=None if math.isnan(estimate) else estimate,
        boundary=boundary,
        interval=bounds,
        near=interval(both, 2 * ALPHA) if compared.within else None,
        test=lead.difference.test,
        n=lead.difference.n,
        p_value=min(1.0, 2 * min(tested.supporting, tested.against)) if decided else None,
        answer=tested.answer,
        why_not=tested.why_not if tested.answer not in ("supported", "contradicted") else "",
        notes=(*_holm(both), *notes(lead.one, lead.other)),
        plan=_plan(both, lead, compared, evidence.unit),
        decimals=evidence.decimals + 1,
        caution=uncorrected(lead.one, lead.other),
        leading=_with_runs(lead) if bounds else None,
    )


def _with_runs(lead: Pair) -> resampling.Pair | None:
    """Return what the lead's difference over seeds and examples is made of; None where it has none."""
    one, other = lead.one, lead.other
    # Few runs of which one collapsed are far from normal, so that Student's t does not hold: a table has none either.
    if one.runs is None or other.runs is None or cap(one, other) == COLLAPSED:
        return None
    return resampling.Pair(one.runs, other.runs, lead.difference.test == "paired t")


def _lead(both: Sides) -> Pair | None:
    """Return the pair that the estimates make the one side's best and the other's best."""
    if not both.pairs or not both.pairs[0]:
        return None
    row = max(both.pairs, key=lambda pairs: pairs[0].one.sample.mean)
    return max(row, key=lambda pair: pair.other.sample.mean)


def interval(both: Sides, alpha: float) -> Interval | None:
    """Return the interval of the difference between the sides' bests, of error `alpha`; None where a pair has no test."""
    if both.why_not or not both.pairs or any(pair.difference.why_not for row in both.pairs for pair in row):
        return None

    def end(at: int, level: float) -> float:
        # As the test: any of the one's above all of the other's.
        ends = [[pair.difference.interval(level) or (math.nan, math.nan) for pair in row] for row in both.pairs]
        return max(min(each[at] for each in row) for row in ends)

    return end(0, 1 - alpha / len(both.pairs)), end(1, 1 - alpha / len(both.pairs[0]))


def _holm(both: Sides) -> list[str]:
    counts = len(both.pairs), len(both.pairs[0])
    return [f"any of {counts[0]} against all of {counts[1]}, Holm"] if max(counts) > 1 else []


def notes(one: Candidate, other: Candidate) -> tuple[str, ...]:
    """Say how many of the runs of two candidates collapsed or diverged."""
    said = []
    for candidate in (one, other):
        for count, what in ((candidate.collapsed, "collapsed"), (candidate.diverged, "diverged")):
            said += [f"{candidate.label}: {count} {what}"] if count else []
    return tuple(said)


def _plan(both: Sides, lead: Pair, compared: Compared, unit: float) -> Plan | None:
    """Say what seeds are planned for; None where no number of them would lead to an answer."""
    one, other = lead.one, lead.other
    if both.why_not or lead.difference.why_not or one.choices != other.choices or cap(one, other) == DIVERGED:
        return None
    if lead.difference.test == "paired t":
        deviation: float | tuple[float, float] = lead.difference.error * math.sqrt(lead.difference.freedom + 1)
    else:
        assert one.sample.deviation is not None
        assert other.sample.deviation is not None
        deviation = one.sample.deviation, other.sample.deviation
    return planning.plan(compared, compared.margin or unit, deviation, bool(one.collapsed or other.collapsed))
