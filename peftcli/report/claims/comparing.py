"""Checks that compare strategies column by column: better, within, order, best, worst, mostly."""

import itertools
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from peftcli.report.claims.evidence import Evidence, Measure, best, goodness
from peftcli.report.claims.spec import MEASURE, ONE_OR_SEVERAL, TAKE, Check, Strategies, Take, judges
from peftcli.report.claims.steps import (
    AS_PRINTED,
    SLACK,
    compared,
    conclude,
    count,
    everywhere,
    step,
    takers,
    undecided,
    why_not,
    won,
)
from peftcli.report.claims.verdicts import Finding, Step


class Better(Check):
    """Each of `strategies` is better than `than` in every column, by at least `by` points."""

    kind: Literal["better"] = Field(description="Strategies are better than another.")
    strategies: Strategies = Field(description="The strategies said to be better.")
    than: str = Field(description="The strategy that they are compared with.")
    by: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(0.0, description="The least margin, in points.")
    or_equal: bool = Field(False, description="Whether equal as printed is enough, where no margin is asked for.")
    take: Take = Field("best", description=TAKE)
    measure: Measure = Field("mean", description=MEASURE)


@judges(Better)
def better(check: Better, evidence: Evidence) -> Finding:
    """Judge whether strategies are better than another by a margin."""

    def holds(one: float, other: float) -> bool:
        if check.by:  # a margin says itself whether equal is enough
            return one - other >= check.by - SLACK
        return one >= other if check.or_equal else one > other

    margin = f" by at least {check.by:g} than" if check.by else " than or equal to" if check.or_equal else " than"
    return _against(check, evidence, holds, check.measure, f"better{margin}")


class Within(Check):
    """Each of `strategies` is at most `points` below `than` in every column; above it is within too."""

    kind: Literal["within"] = Field(description="Strategies are at most so many points below another.")
    strategies: Strategies = Field(description="The strategies said to be near.")
    than: str = Field(description="The strategy that they are compared with.")
    points: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(description="The most they may be below it.")
    take: Take = Field("best", description=TAKE)


@judges(Within)
def within(check: Within, evidence: Evidence) -> Finding:
    """Judge whether strategies are at most so many points below another."""
    rule = f"at most {check.points:g} below"
    return _against(check, evidence, lambda one, other: other - one <= check.points + SLACK, "mean", rule)


class Order(Check):
    """`strategies` stand in this order in every column, best first, none equal."""

    kind: Literal["order"] = Field(description="Strategies stand in an order.")
    strategies: Annotated[list[str], Field(min_length=2), ONE_OR_SEVERAL] = Field(
        description="The strategies, best first."
    )
    measure: Measure = Field("mean", description=MEASURE)


@judges(Order)
def order(check: Order, evidence: Evidence) -> Finding:
    """Judge whether strategies stand in an order, none equal."""
    steps = []
    for key in evidence.columns(check.on):
        numbers = [best(evidence.rows([name], key), check.measure) for name in check.strategies]
        steps += [
            step(one, other, evidence.name(key), check.measure, lambda a, b: a > b)
            for one, other in itertools.pairwise(numbers)
        ]
    rule = f"{', '.join(check.strategies)} in this order"
    return conclude(steps, rule + everywhere(check, evidence), compared(check.measure))


class Best(Check):
    """In every column the best row of `of` (all, where not given) is one of `among`; equal as printed is best too."""

    kind: Literal["best"] = Field(description="The best row of a column is one of some.")
    among: Strategies = Field(description="The strategies that the best row may be of.")
    of: Strategies | None = Field(None, description="The strategies that are compared; all by default.")
    measure: Measure = Field("mean", description=MEASURE)


class Worst(Check):
    """In every column the worst row of `of` (all, where not given) is one of `among`; equal as printed is worst too."""

    kind: Literal["worst"] = Field(description="The worst row of a column is one of some.")
    among: Strategies = Field(description="The strategies that the worst row may be of.")
    of: Strategies | None = Field(None, description="The strategies that are compared; all by default.")
    measure: Measure = Field("mean", description=MEASURE)


@judges(Best, Worst)
def best_or_worst(check: Best | Worst, evidence: Evidence) -> Finding:
    """Judge whether the best (or worst) row of a column is one of some."""
    sign = 1 if check.kind == "best" else -1  # the worst is the best of the numbers turned round
    steps = []
    for key in evidence.columns(check.on):
        among, rivals = evidence.contenders(check.among, key), evidence.contenders(check.of, key)
        reason = why_not([*among, *rivals], check.measure) if among else "cannot be judged"
        if reason is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        extreme = max(sign * goodness(number, check.measure) for number in rivals)
        winners = [number for number in rivals if sign * goodness(number, check.measure) == extreme]
        # Not "is one of the winners": a row of `among` that `of` leaves out may be as good, or better.
        holds = any(sign * goodness(number, check.measure) >= extreme for number in among)
        words = ", ".join(f"{number.label} {number.text(check.measure)}" for number in winners)
        steps.append(Step(f"{evidence.name(key)}: {check.kind} is {words}", holds))
    rule = f"the {check.kind} is one of {', '.join(check.among)}"
    return conclude(steps, rule + everywhere(check, evidence), AS_PRINTED)


class Mostly(Check):
    """Rows of `strategy` beat (or equal) the row of `than` with the same `match` in more than a share of comparisons."""

    kind: Literal["mostly"] = Field(description="Rows are better than their counterparts in most comparisons.")
    strategy: str = Field(description="The strategy whose rows are said to be better.")
    than: str = Field(description="The strategy of their counterparts.")
    match: list[str] = Field([], description="The options in which a row and its counterpart must agree.")
    share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5, description="The fraction of comparisons that more than must be won."
    )
    or_equal: bool = Field(False, description="Whether equal as printed counts as won.")


@judges(Mostly)
def mostly(check: Mostly, evidence: Evidence) -> Finding:
    """Judge whether rows are better than their counterparts in more than a share of the comparisons."""

    def holds(one: float, other: float) -> bool:
        return one >= other if check.or_equal else one > other

    steps = []
    for key in evidence.columns(check.on):
        others = evidence.rows([check.than], key)
        for one in evidence.rows([check.strategy], key):
            # The counterpart is the other strategy's row with the same options, the best where several are left.
            same = [o for o in others if all(o.options.get(m) == one.options.get(m) for m in check.match)]
            steps.append(step(one, best(same, "mean"), evidence.name(key), "mean", holds))
    needed = int(check.share * len(steps)) + 1  # strictly more than the share
    better = "better or equal" if check.or_equal else "better"
    rule = f"{better} in more than {check.share:.0%} of {len(steps)} comparisons: {won(steps)} won"
    return count(steps, needed, rule, compared("mean"))


def _against(
    check: Better | Within, evidence: Evidence, holds: Callable[[float, float], bool], measure: Measure, rule: str
) -> Finding:
    """Compare every strategy of a check with the best row of the one it names, column by column."""
    steps = []
    for key in evidence.columns(check.on):
        other = best(evidence.rows([check.than], key), measure)
        for one in takers(check.strategies, check.take, evidence, key, measure):
            steps.append(step(one, other, evidence.name(key), measure, holds))
    return conclude(steps, f"{rule} {check.than}{everywhere(check, evidence)}", compared(measure))
