"""Comparing all rows of a column at once, by Games–Howell: which are shown to be above which, whatever their number.

All pairs are corrected together, so that any number of them may be read off. A row is not best where any other is shown
above it, and it is among the best P of K where K - P are shown below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from peftcli.report.claims.answers import Comparison, Interval, Plan
from peftcli.report.claims.evidence import Candidate, Evidence
from peftcli.report.claims.tested import planning, sides
from peftcli.report.claims.tested.listing import Ranked, Rows
from peftcli.report.statistics import combining, games_howell
from peftcli.report.statistics.combining import Statement
from peftcli.report.statistics.contrast import ALPHA, Contrast, welch


@dataclass(frozen=True)
class Ranking:
    """The rows of a column beside each other: `above[i][j]` is the one-sided p of "row i is not above row j", corrected.

    1 where that cannot be tested. `leads` are each row's best candidates, None where it has none. `groups`: how many
    samples were compared. `why_not` says what cannot be tested.
    """

    rows: tuple[Rows, ...]
    above: tuple[tuple[float, ...], ...]
    leads: tuple[Candidate | None, ...]
    groups: int
    why_not: str

    @property
    def turned(self) -> "Ranking":
        """The ranking from the worst: what was above is below."""
        return replace(self, above=tuple(zip(*self.above, strict=True)))

    def shown_below(self, row: int) -> float:
        """Return the one-sided p of "no other row is above this one"."""
        return min((self.above[other][row] for other in range(len(self.rows)) if other != row), default=1.0)

    def means(self, sign: int) -> list[float] | None:
        """Return each row's mean times a sign; None where one has none."""
        means = [sign * lead.sample.mean for lead in self.leads if lead is not None]
        return means if len(means) == len(self.rows) else None


def rank(rows: Sequence[Rows]) -> Ranking:
    """Compare all rows of a column, each with the best of its candidates."""
    candidates = [each for row in rows for number in row for each in number.candidates]
    at = iter(range(len(candidates)))
    of_row = [[next(at) for number in row for _ in number.candidates] for row in rows]
    p_values = games_howell.pairs([each.sample for each in candidates])

    def shown(i: int, j: int) -> float:
        p_value = p_values[i][j]
        return 1.0 if p_value is None or _cap(candidates[i], candidates[j]) else p_value

    def above(row: int, other: int) -> float:
        # A row's best is above another's where any of its candidates is above all of the other's.
        if row == other or not of_row[row] or not of_row[other]:
            return 1.0
        return min(max(shown(i, j) for j in of_row[other]) for i in of_row[row])

    places = range(len(rows))
    return Ranking(
        rows=tuple(rows),
        above=tuple(tuple(above(i, j) for j in places) for i in places),
        leads=tuple(max((candidates[i] for i in of), key=lambda c: c.sample.mean, default=None) for of in of_row),
        groups=len(candidates),
        why_not=_why_not(rows, candidates, p_values),
    )


def _why_not(rows: Sequence[Rows], candidates: Sequence[Candidate], p_values: Sequence[Sequence[float | None]]) -> str:
    """Say what cannot be tested, or can lean at most; "" where all can be."""
    if unknown := next((number.untestable for row in rows for number in row if number.untestable), ""):
        return unknown
    pairs = [(i, j) for i in range(len(candidates)) for j in range(len(candidates)) if i != j]
    for i, j in pairs:
        if why_not := _cap(candidates[i], candidates[j]):
            return why_not
        if p_values[i][j] is None:
            return welch(candidates[i].sample, candidates[j].sample).why_not
    return ""


def _cap(one: Candidate, other: Candidate) -> str:
    """Say why one candidate cannot be shown to be above another; "" where it can."""
    return sides.cap(one, other) or (sides.uncorrected(one, other) if one.choices > other.choices else "")


def best_is_among(ranking: Ranking, among: Sequence[int], sign: int = 1) -> Statement:
    """Test that a column's best row is one of some: that each of the others is below some row. `sign` -1: the worst."""
    if not among:
        return combining.untested("no number")
    seen = ranking if sign == 1 else ranking.turned
    below = [seen.shown_below(row) for row in range(len(seen.rows))]
    supporting = max((p for row, p in enumerate(below) if row not in among), default=0.0)
    means = ranking.means(sign)
    leans = None if means is None else max(means[row] for row in among) >= max(means)
    return Statement(supporting, max(below[row] for row in among), leans, ranking.why_not)


def is_among_best(ranking: Ranking, row: int, places: int) -> Statement:
    """Test that a row's place is at most so many: K - places others are below it, or not even `places` above it."""
    others = [other for other in range(len(ranking.rows)) if other != row]
    below = sorted(ranking.above[row][other] for other in others)
    above = sorted(ranking.above[other][row] for other in others)
    needed = len(ranking.rows) - places
    means = ranking.means(1)
    leans = None if means is None else sum(means[other] > means[row] for other in others) < places
    return Statement(
        below[needed - 1] if needed > 0 else 0.0,
        above[places - 1] if places <= len(above) else 1.0,
        leans,
        ranking.why_not,
    )


def tested(ranked: Ranked, evidence: Evidence) -> tuple[Comparison, Statement]:
    """Test what is said of a column's rows: in numbers, and what it comes to."""
    ranking, sign = rank(ranked.rows), -1 if ranked.worst else 1
    if not ranked.ones:
        statement = combining.untested("no number")
    elif ranked.places is None:
        statement = best_is_among(ranking, ranked.inside, sign)
    else:
        statement = is_among_best(ranking, ranked.inside[0], ranked.places)
    # The place is at most P where the row is not below the P-th best of the others.
    one, other = _lead(ranking, ranked.inside, sign), _lead(ranking, ranked.outside, sign, ranked.places or 1)
    return _comparison(ranked, ranking, one, other, statement, evidence), statement


def _lead(ranking: Ranking, rows: Sequence[int], sign: int, which: int = 1) -> Candidate | None:
    """Return the candidate that is in front of some rows, or the one that is behind others by their means."""
    candidates = [each for at in rows if (each := ranking.leads[at]) is not None]
    ordered = sorted(candidates, key=lambda each: -sign * each.sample.mean)
    return ordered[which - 1] if which <= len(ordered) else None


def _comparison(
    ranked: Ranked,
    ranking: Ranking,
    one: Candidate | None,
    other: Candidate | None,
    statement: Statement,
    evidence: Evidence,
) -> Comparison:
    """Return a column's comparison in numbers: the row that it is about beside the one that could take its place."""
    if one is None or other is None:
        first, second = (each.label if each else "no number" for each in (one, other))
        return Comparison(
            ranked.column, first, second, None, 0.0, None, None, "", "", None, statement.answer, statement.why_not
        )
    difference = welch(one.sample, other.sample)
    interval = _interval(difference, ranking.groups)
    tested = statement.supporting < 1 or statement.against < 1
    return Comparison(
        column=ranked.column,
        one=one.label,
        other=other.label,
        estimate=difference.estimate,
        boundary=0.0,
        interval=interval,
        near=None,
        test="Games–Howell",
        n=difference.n,
        p_value=min(1.0, 2 * min(statement.supporting, statement.against)) if tested else None,
        answer=statement.answer,
        why_not=statement.why_not if statement.answer not in ("supported", "contradicted") else "",
        notes=sides.notes(one, other),
        plan=_plan(ranked, one, other, evidence.unit) if interval else None,
        decimals=evidence.decimals + 1,
        caution=sides.uncorrected(one, other),
    )


def _interval(difference: Contrast, groups: int) -> Interval | None:
    """Return the interval of a difference that holds with all others of a column's pairs at once."""
    if difference.why_not:
        return None
    half = games_howell.critical(groups, difference.freedom, ALPHA) * difference.error
    return difference.estimate - half, difference.estimate + half


def _plan(ranked: Ranked, one: Candidate, other: Candidate, unit: float) -> Plan | None:
    """Say what seeds are planned for; None where no number of them would lead to an answer."""
    if one.choices != other.choices or sides.cap(one, other) == sides.DIVERGED:
        return None
    assert one.sample.deviation is not None
    assert other.sample.deviation is not None
    deviations = one.sample.deviation, other.sample.deviation
    return planning.plan(ranked, unit, deviations, bool(one.collapsed or other.collapsed))
