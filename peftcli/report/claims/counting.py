"""Checks that count: columns in which a strategy is among the best, strategies better than another, times best."""

from peftcli.report.claims.comparing import AS_PRINTED, count, step, takers, undecided, why_not
from peftcli.report.claims.evidence import Evidence, Key, Number, best, goodness
from peftcli.report.claims.spec import HowMany, TimesBest, Top
from peftcli.report.claims.verdicts import Finding, Step
from peftcli.report.statistics import describe
from peftcli.report.table.selectors import Selector


def top(check: Top, evidence: Evidence) -> Finding:
    """Judge whether a strategy is among the best few in enough columns."""
    steps = []
    for key in evidence.columns(check.on):
        everyone = evidence.rows(None, key)
        own = best(evidence.rows([check.strategy], key), check.measure)
        reason = why_not(everyone, check.measure)
        if own is None or reason is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        places = describe.rank([goodness(number, check.measure) for number in everyone])
        place = places[everyone.index(own)] or 0
        words = f"{evidence.name(key)}: {own.label} {own.text(check.measure)}, place {place:.0f} of {len(everyone)}"
        steps.append(Step(words, place <= check.places))
    won, lost = (sum(each.holds is wanted for each in steps) for wanted in (True, False))
    rule = f"among the best {check.places} in at least {check.at_least} of {len(steps)} columns: {won}"
    return count(steps, won, lost, check.at_least, rule, AS_PRINTED)


def how_many(check: HowMany, evidence: Evidence) -> Finding:
    """Judge whether enough strategies are better than another; several columns must each have enough."""
    found = [_in_column(check, evidence, key) for key in evidence.columns(check.on)]
    worst = next((f for f in found if f.verdict == "does not hold"), None)
    worst = worst or next((f for f in found if f.verdict != "holds"), found[0])
    rule = "; ".join(finding.rule for finding in found)
    return Finding(worst.verdict, rule, tuple(each for f in found for each in f.steps), AS_PRINTED)


def _in_column(check: HowMany, evidence: Evidence, key: Key) -> Finding:
    other = best(evidence.rows([check.than], key), check.measure)
    others: list[Number | None] = [n for n in evidence.rows(None, key) if not Selector.parse(check.than).fits(n)]
    if check.strategies is not None:
        others = takers(check.strategies, "best", evidence, key, check.measure)
    steps = [step(one, other, evidence.name(key), check.measure, lambda a, b: a > b) for one in others]
    won, lost = (sum(each.holds is wanted for each in steps) for wanted in (True, False))
    rule = f"{evidence.name(key)}: at least {check.at_least} of {len(steps)} better in their {check.measure}: {won}"
    return count(steps, won, lost, check.at_least, rule, AS_PRINTED)


def times_best(check: TimesBest, evidence: Evidence) -> Finding:
    """Judge whether strategies are best in exactly so many columns."""
    wins = dict.fromkeys(check.times, 0)
    steps: list[Step] = []
    for key in evidence.columns(check.on):
        everyone = evidence.rows(check.of, key)
        if (reason := why_not(everyone, "mean")) is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        highest = max(goodness(number, "mean") for number in everyone)
        winners = [number for number in everyone if goodness(number, "mean") == highest]
        for text in wins:
            wins[text] += any(Selector.parse(text).fits(number) for number in winners)
        steps.append(Step(f"{evidence.name(key)}: best is {', '.join(n.label for n in winners)} {highest:g}", True))
    rule = "; ".join(f"{text} best in {wins[text]} columns, claimed {times}" for text, times in check.times.items())
    open_reason = next((each.reason for each in steps if each.holds is None), None)
    if open_reason is not None or not steps:
        return Finding(open_reason or "cannot be judged", rule, tuple(steps), AS_PRINTED)
    return Finding("holds" if wins == check.times else "does not hold", rule, tuple(steps), AS_PRINTED)
