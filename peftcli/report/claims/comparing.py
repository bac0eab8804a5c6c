"""Checks that compare strategies column by column: better, within, order, best, worst, mostly."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from peftcli.report.claims.evidence import Evidence, Key, Measure, Number, best, goodness
from peftcli.report.claims.spec import Best, Better, Mostly, Order, Within, Worst
from peftcli.report.claims.verdicts import Finding, Step, Verdict
from peftcli.report.statistics import significance

SLACK = 1e-9  # two rounded numbers differ by a whole number of last digits, but for this
AS_PRINTED = "compared as printed"


def better(check: Better, evidence: Evidence) -> Finding:
    """Judge whether strategies are better than another by a margin."""

    def holds(one: float, other: float) -> bool:
        if check.by:
            return one - other >= check.by - SLACK
        return one >= other if check.or_equal else one > other

    margin = f" by at least {check.by:g} than" if check.by else " than or equal to" if check.or_equal else " than"
    return _against(check, evidence, holds, check.measure, f"better{margin}")


def within(check: Within, evidence: Evidence) -> Finding:
    """Judge whether strategies are at most so many points below another."""
    rule = f"at most {check.points:g} below"
    return _against(check, evidence, lambda one, other: other - one <= check.points + SLACK, "mean", rule)


def order(check: Order, evidence: Evidence) -> Finding:
    """Judge whether strategies stand in an order, none equal."""
    steps = []
    for key in evidence.columns(check.on):
        found = [best(evidence.rows([name], key), check.measure) for name in check.strategies]
        steps += [
            step(one, other, evidence.name(key), check.measure, lambda a, b: a > b)
            for one, other in itertools.pairwise(found)
        ]
    rule = f"{', '.join(check.strategies)} in this order"
    return conclude(steps, rule + everywhere(check, evidence), tested(steps, check.measure))


def best_of(check: Best | Worst, evidence: Evidence) -> Finding:
    """Judge whether the best (or worst) row of a column is one of some."""
    sign = 1 if check.kind == "best" else -1
    steps = []
    for key in evidence.columns(check.on):
        among, all_of = evidence.rows(check.among, key), evidence.rows(check.of, key)
        if (reason := why_not([*among, *all_of], check.measure, bool(among))) is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        extreme = max(sign * goodness(number, check.measure) for number in all_of)
        found = [number for number in all_of if sign * goodness(number, check.measure) == extreme]
        holds = any(sign * goodness(number, check.measure) >= extreme for number in among)
        words = ", ".join(f"{number.label} {number.text(check.measure)}" for number in found)
        steps.append(Step(f"{evidence.name(key)}: {check.kind} is {words}", holds))
    rule = f"the {check.kind} is one of {', '.join(check.among)}"
    return conclude(steps, rule + everywhere(check, evidence), AS_PRINTED)


def mostly(check: Mostly, evidence: Evidence) -> Finding:
    """Judge whether rows are better than their counterparts in more than a share of the comparisons."""
    steps = []
    for key in evidence.columns(check.on):
        others = evidence.rows([check.than], key)
        for one in evidence.rows([check.strategy], key):
            same = [o for o in others if all(o.options.get(m) == one.options.get(m) for m in check.match)]
            steps.append(step(one, best(same, "mean"), evidence.name(key), "mean", lambda a, b: a > b))
    won, lost = (sum(s.holds is wanted for s in steps) for wanted in (True, False))
    needed = int(check.share * len(steps)) + 1
    rule = f"better in more than {check.share:.0%} of {len(steps)} comparisons: {won} won"
    return count(steps, won, lost, needed, rule, tested(steps, "mean"))


def _against(
    check: Better | Within,
    evidence: Evidence,
    holds: Callable[[float, float], bool],
    measure: Measure,
    rule: str,
) -> Finding:
    steps = []
    for key in evidence.columns(check.on):
        other = best(evidence.rows([check.than], key), measure)
        for one in takers(check.strategies, check.take, evidence, key, measure):
            steps.append(step(one, other, evidence.name(key), measure, holds))
    return conclude(steps, f"{rule} {check.than}{everywhere(check, evidence)}", tested(steps, measure))


def everywhere(check: Any, evidence: Evidence) -> str:
    """Say that a check is about every column, where there are several."""
    return " in every column" if len(evidence.columns(check.on)) > 1 else ""


def takers(names: Sequence[str], take: str, evidence: Evidence, key: Key, measure: Measure) -> list[Number | None]:
    """Give the rows a check judges: the best of each name, every one, or the best of all together."""
    if take == "every":
        return [number for one in names for number in evidence.rows([one], key)]
    if take == "any":
        return [best(evidence.rows(names, key), measure)]
    return [best(evidence.rows([one], key), measure) for one in names]


def step(
    one: Number | None, other: Number | None, place: str, measure: Measure, holds: Callable[[float, float], bool]
) -> Step:
    """Compare two numbers; `holds` takes them as printed, larger being better."""
    if one is None or other is None:
        return Step(f"{place}: no number to compare", None, "cannot be judged")
    reason = one.undecided(measure) or other.undecided(measure)
    words = f"{place}: {one.label} {one.text(measure)}, {other.label} {other.text(measure)}"
    if reason is not None:
        return Step(f"{words}: {reason}", None, reason)
    came_out = holds(goodness(one, measure), goodness(other, measure))
    return Step(f"{words} ({difference(one, other, measure)})", came_out)


def difference(one: Number, other: Number, measure: Measure) -> str:
    """The difference in words, with the p-value of a test over seeds where there are values of both."""
    left, right = one.get(measure), other.get(measure)
    assert left is not None
    assert right is not None
    words = f"{left - right:+.{max(one.decimals, other.decimals)}f}"
    if measure == "std" or not one.values or not other.values:
        return words
    test = significance.compare(one.values, other.values)
    return words if test.p_value is None else f"{words}, p = {test.p_value:.2g}"


def tested(steps: Iterable[Step], measure: Measure) -> str:
    """Say how the comparison was made."""
    if any("p = " in each.text for each in steps):
        return "means compared as printed; p by seed, Wilcoxon's signed ranks (Welch's test where seeds differ)"
    return f"{'standard deviations, lower being better, ' if measure == 'std' else ''}{AS_PRINTED}"


def undecided(place: str, reason: Verdict | None) -> Step:
    """A step that nothing can be said of, for want of runs or of a number at all."""
    found: Verdict = reason or "cannot be judged"
    return Step(f"{place}: {found}", None, found)


def why_not(numbers: Sequence[Number], measure: Measure, found: bool = True) -> Verdict | None:
    """Say why nothing can be decided with these numbers; None where it can."""
    if not numbers or not found:
        return "cannot be judged"
    return next((reason for number in numbers if (reason := number.undecided(measure))), None)


def conclude(steps: Sequence[Step], rule: str, test: str) -> Finding:
    """A finding whose every step must hold: one that does not decides, else one that is undecided."""
    undecided = next((each.reason for each in steps if each.holds is None), None)
    if any(each.holds is False for each in steps):
        return Finding("does not hold", rule, tuple(steps), test)
    return Finding(undecided or ("holds" if steps else "cannot be judged"), rule, tuple(steps), test)


def count(steps: Sequence[Step], won: int, lost: int, needed: int, rule: str, test: str) -> Finding:
    """A finding that needs so many steps to hold: undecided while those that are open could tip it."""
    open_steps = [each for each in steps if each.holds is None]
    if won >= needed:
        return Finding("holds", rule, tuple(steps), test)
    if won + len(open_steps) < needed or not open_steps:
        return Finding("does not hold", rule, tuple(steps), test)
    return Finding(open_steps[0].reason, rule, tuple(steps), test)


Judge = Callable[[Any, Evidence], Finding]
