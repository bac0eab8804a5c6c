"""Checks that count: columns in which a strategy is among the best, strategies better than another, times best."""

from typing import Annotated, Literal

from pydantic import Field

from peftcli.report.claims.evidence import Evidence, Key, Measure, Number, best, goodness
from peftcli.report.claims.spec import MEASURE, Check, Count, Strategies, judges
from peftcli.report.claims.steps import AS_PRINTED, count, step, takers, undecided, why_not, won
from peftcli.report.claims.verdicts import Finding, Step
from peftcli.report.statistics import describe
from peftcli.report.table.selectors import Selector


class Top(Check):
    """`strategy` is among the best `places` rows in at least `at_least` columns."""

    kind: Literal["top"] = Field(description="A strategy is among the best rows of enough columns.")
    strategy: str = Field(description="The strategy said to be among the best.")
    places: Count = Field(description="How many rows count as the best of a column.")
    at_least: Count = Field(description="The least number of columns in which it must be.")
    measure: Measure = Field("mean", description=MEASURE)


@judges(Top)
def top(check: Top, evidence: Evidence) -> Finding:
    """Judge whether a strategy is among the best few in enough columns."""
    steps = []
    for key in evidence.columns(check.on):
        rivals = evidence.contenders(None, key)
        number = best(evidence.rows([check.strategy], key), check.measure)
        if number is not None and number not in rivals:  # the check names another learning rate than the chosen one
            rivals.append(number)
        reason = why_not(rivals, check.measure)
        if number is None or reason is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        # Equal as printed share the better rank: both are among the best.
        ranks = describe.rank([goodness(rival, check.measure) for rival in rivals])
        rank = ranks[rivals.index(number)] or 0
        words = f"{evidence.name(key)}: {number.label} {number.text(check.measure)}, place {rank:.0f} of {len(rivals)}"
        steps.append(Step(words, rank <= check.places))
    rule = f"among the best {check.places} in at least {check.at_least} of {len(steps)} columns: {won(steps)}"
    return count(steps, check.at_least, rule, AS_PRINTED)


class HowMany(Check):
    """At least `at_least` of `strategies` (all others, where not given) beat `than`, in every column named."""

    kind: Literal["how many"] = Field(description="Enough strategies are better than another.")
    than: str = Field(description="The strategy that they are compared with.")
    at_least: Count = Field(description="The least number of strategies that must be better, in each column.")
    strategies: Strategies | None = Field(None, description="The strategies that are counted; all others by default.")
    measure: Measure = Field("mean", description=MEASURE)


@judges(HowMany)
def how_many(check: HowMany, evidence: Evidence) -> Finding:
    """Judge whether enough strategies are better than another; several columns must each have enough."""
    findings = [_in_column(check, evidence, key) for key in evidence.columns(check.on)]
    # The verdict of the worst column: one that does not hold, else one that is open, else any.
    worst = next((f for f in findings if f.verdict == "does not hold"), None)
    worst = worst or next((f for f in findings if f.verdict != "holds"), findings[0])
    rule = "; ".join(finding.rule for finding in findings)
    return Finding(worst.verdict, rule, tuple(each for f in findings for each in f.steps), AS_PRINTED)


def _in_column(check: HowMany, evidence: Evidence, key: Key) -> Finding:
    other = best(evidence.rows([check.than], key), check.measure)
    # A row is not compared with itself: those that the other's name fits take no part.
    others: list[Number | None] = [n for n in evidence.contenders(None, key) if not Selector.parse(check.than).fits(n)]
    if check.strategies is not None:
        others = takers(check.strategies, "best", evidence, key, check.measure)
    steps = [step(one, other, evidence.name(key), check.measure, lambda a, b: a > b) for one in others]
    counted = f"at least {check.at_least} of {len(steps)} better in their {check.measure}: {won(steps)}"
    return count(steps, check.at_least, f"{evidence.name(key)}: {counted}", AS_PRINTED)


class TimesBest(Check):
    """Each strategy is best of `of` (all, where not given) in exactly so many columns; equal as printed counts too."""

    kind: Literal["times best"] = Field(description="Strategies are best in exactly so many columns.")
    times: Annotated[dict[str, Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        description="For each strategy, the number of columns in which it is best."
    )
    of: Strategies | None = Field(None, description="The strategies that are compared; all by default.")


@judges(TimesBest)
def times_best(check: TimesBest, evidence: Evidence) -> Finding:
    """Judge whether strategies are best in exactly so many columns."""
    wins = dict.fromkeys(check.times, 0)
    steps: list[Step] = []
    for key in evidence.columns(check.on):
        rivals = evidence.contenders(check.of, key)
        if (reason := why_not(rivals, "mean")) is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        highest = max(goodness(number, "mean") for number in rivals)
        winners = [number for number in rivals if goodness(number, "mean") == highest]  # equal as printed: both won
        for name in wins:
            wins[name] += any(Selector.parse(name).fits(number) for number in winners)
        # A column is only counted, so its step always holds; the wins are judged together below.
        steps.append(Step(f"{evidence.name(key)}: best is {', '.join(n.label for n in winners)} {highest:g}", True))
    rule = "; ".join(f"{name} best in {wins[name]} columns, claimed {times}" for name, times in check.times.items())
    open_reason = next((each.reason for each in steps if each.holds is None), None)
    if open_reason is not None or not steps:
        return Finding(open_reason or "cannot be judged", rule, tuple(steps), AS_PRINTED)
    return Finding("holds" if wins == check.times else "does not hold", rule, tuple(steps), AS_PRINTED)
