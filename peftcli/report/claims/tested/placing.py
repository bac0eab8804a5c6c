"""Testing checks of places in a column: best, worst, top, times best. By Games–Howell's comparisons of all rows."""

from collections.abc import Sequence

from peftcli.report.claims.answers import CheckAnswer, Comparison, Part, Plan
from peftcli.report.claims.comparing import Best, Worst
from peftcli.report.claims.counting import TimesBest, Top
from peftcli.report.claims.evidence import Candidate, Evidence, Key, Number
from peftcli.report.claims.tested import sides
from peftcli.report.claims.tested.comparing import at_least
from peftcli.report.claims.tested.ranking import Ranking, best_is_among, is_among_best, rank
from peftcli.report.claims.tested.registry import conclude, tests
from peftcli.report.statistics import combining, describe, games_howell
from peftcli.report.statistics.combining import Statement
from peftcli.report.statistics.contrast import ALPHA, LEAST_SEEDS, welch
from peftcli.report.table.selectors import Selector

CORRECTION = "Games–Howell over the rows of a column"


@tests(Best, Worst)
def best_or_worst(check: Best | Worst, evidence: Evidence) -> CheckAnswer:
    """Test whether a column's best (or worst) row is one of some, in every column."""
    sign = 1 if check.kind == "best" else -1
    tested = []
    for key in evidence.columns(check.on):
        rows = _together(evidence.contenders(check.of, key), evidence.contenders(check.among, key))
        among = {id(number) for number in evidence.contenders(check.among, key)}
        inside = [at for at, number in enumerate(rows) if id(number) in among]
        ranking = rank([(number,) for number in rows])
        statement = best_is_among(ranking, inside, sign)
        outside = [at for at in range(len(rows)) if at not in inside]
        one, other = _lead(ranking, inside, sign), _lead(ranking, outside, sign)
        tested.append((_comparison(evidence, key, ranking, one, other, statement), statement))
    return conclude(check, [at_least(len(tested), tested)] if tested else [], CORRECTION)


@tests(Top)
def top(check: Top, evidence: Evidence) -> CheckAnswer:
    """Test whether a strategy is among the best few rows of a column, in enough columns."""
    tested = []
    for key in evidence.columns(check.on):
        mine = evidence.contenders([check.strategy], key)
        others = [
            number for number in evidence.contenders(None, key) if not Selector.parse(check.strategy).fits(number)
        ]
        ranking = rank([tuple(mine), *((number,) for number in others)])
        statement = is_among_best(ranking, 0, check.places) if mine else combining.untested("no number")
        # The place is at most P where the row is not below the P-th best of the others.
        leads = sorted(filter(None, ranking.leads[1:]), key=lambda each: -each.sample.mean)
        rival = leads[check.places - 1] if check.places <= len(leads) else None
        tested.append((_comparison(evidence, key, ranking, ranking.leads[0], rival, statement), statement))
    words = f"{CORRECTION}; at least {check.at_least} of {len(tested)} columns (partial conjunction)"
    return conclude(check, [at_least(check.at_least, tested)], words)


@tests(TimesBest)
def times_best(check: TimesBest, evidence: Evidence) -> CheckAnswer:
    """Test whether strategies are best in exactly so many columns: in as many, and not in one more."""
    columns = evidence.columns(check.on)
    rankings = {key: rank([(number,) for number in evidence.contenders(check.of, key)]) for key in columns}
    parts = []
    for name, times in check.times.items():
        selector = Selector.parse(name)
        tested = []
        for key, ranking in rankings.items():
            inside = [at for at, (number,) in enumerate(ranking.rows) if selector.fits(number)]
            outside = [at for at in range(len(ranking.rows)) if at not in inside]
            statement = best_is_among(ranking, inside)
            one, other = _lead(ranking, inside, 1), _lead(ranking, outside, 1)
            tested.append((_comparison(evidence, key, ranking, one, other, statement), statement))
        statements = [each for _, each in tested]
        # Every column takes part: those where it is best, and those where it is not.
        parts.append(Part(len(tested), tuple(each for each, _ in tested), _exactly(times, statements)))
    return conclude(check, parts, f"{CORRECTION}; so many columns and no more (partial conjunction)")


def _exactly(times: int, statements: Sequence[Statement]) -> Statement:
    """Test that so many statements hold and no more; what cannot fail, as at least none of them, is no part of it."""
    enough = [combining.at_least(times, statements)] if times > 0 else []
    more = combining.opposite(combining.at_least(times + 1, statements))
    return combining.all_of(enough + ([more] if times < len(statements) else []))


def _together(rivals: Sequence[Number], among: Sequence[Number]) -> list[Number]:
    """Return the rows of both, each once: a row that is said to be best may not be among those it is compared with."""
    return list({id(number): number for number in [*rivals, *among]}.values())


def _lead(ranking: Ranking, rows: Sequence[int], sign: int) -> Candidate | None:
    candidates = [each for at in rows if (each := ranking.leads[at]) is not None]
    return max(candidates, key=lambda each: sign * each.sample.mean, default=None)


def _comparison(
    evidence: Evidence,
    key: Key,
    ranking: Ranking,
    one: Candidate | None,
    other: Candidate | None,
    statement: Statement,
) -> Comparison:
    """Return a column's comparison in numbers: the row that it is about beside the one that could take its place."""
    column = evidence.name(key)
    if one is None or other is None:
        first, second = (each.label if each else "no number" for each in (one, other))
        return Comparison(
            column, first, second, None, 0.0, None, None, "", "", None, statement.answer, statement.why_not
        )
    difference = welch(one.sample, other.sample)
    interval = plan = None
    if not difference.why_not:
        freedom = games_howell.freedom(difference, min(one.sample.n, other.sample.n))
        half = games_howell.critical(ranking.groups, freedom, ALPHA) * difference.error
        interval = difference.estimate - half, difference.estimate + half
        plan = _plan(ranking, one, other, evidence.unit)
    tested = statement.supporting < 1 or statement.against < 1
    return Comparison(
        column=column,
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
        plan=plan,
        decimals=evidence.decimals + 1,
        caution=sides.uncorrected(one, other),
    )


def _plan(ranking: Ranking, one: Candidate, other: Candidate, unit: float) -> Plan | None:
    if one.choices != other.choices or sides.cap(one, other) == sides.DIVERGED:
        return None
    assert one.sample.deviation is not None
    assert other.sample.deviation is not None
    # Each pair at its part of alpha: a little less than Games–Howell's correction leaves it.
    alpha = ALPHA / max(1, ranking.groups * (ranking.groups - 1) // 2)
    least = describe.FEW if sides.cap(one, other) else LEAST_SEEDS
    return Plan(unit, (one.sample.deviation, other.sample.deviation), alpha, least)
