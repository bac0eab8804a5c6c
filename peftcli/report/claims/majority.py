"""Checks against the majority class: strategies near it, strategies above it, and runs that never learned more."""

from typing import Annotated, Literal

from pydantic import Field

from peftcli.report.claims.evidence import Evidence, Number
from peftcli.report.claims.spec import TAKE, Check, Strategies, Take, judges
from peftcli.report.claims.steps import AS_PRINTED, SLACK, conclude, lacking, mean_and_std, takers, undecided
from peftcli.report.claims.verdicts import Finding, Step
from peftcli.report.statistics import describe

Deviations = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class NearMajority(Check):
    """Each of `strategies` is within `deviations` of its own standard deviations of the majority class."""

    kind: Literal["near majority"] = Field(description="Strategies are hardly better than the majority class.")
    strategies: Strategies = Field(description="The strategies said to be near it.")
    deviations: Deviations = Field(description="The most they may be from it, in their own standard deviations.")
    take: Take = Field("best", description=TAKE)


class AboveMajority(Check):
    """Each of `strategies` is above the majority class by more than `deviations` of its own standard deviations."""

    kind: Literal["above majority"] = Field(description="Strategies are clearly better than the majority class.")
    strategies: Strategies = Field(description="The strategies said to be above it.")
    deviations: Deviations = Field(description="What they must be above it by more than, in their own deviations.")
    take: Take = Field("best", description=TAKE)


@judges(NearMajority, AboveMajority)
def beside_majority(check: NearMajority | AboveMajority, evidence: Evidence) -> Finding:
    """Judge whether strategies are near the majority class, or above it, in their own standard deviations."""
    steps = []
    for key in evidence.columns(check.on):
        for one in takers(check.strategies, check.take, evidence, key, "mean"):
            reason = lacking(one)
            # A column has no majority class where it is of a regression, or its classes' sizes are not published.
            if one is None or one.baseline is None or one.mean is None or one.std is None or reason is not None:
                steps.append(undecided(evidence.name(key), reason))
                continue
            above, spread = one.mean - one.baseline, check.deviations * one.std
            # Near is within on both sides: a strategy that does worse than a constant answer is not near it either.
            holds = abs(above) <= spread + SLACK if check.kind == "near majority" else above > spread + SLACK
            steps.append(Step(f"{evidence.name(key)}: {one.label} {mean_and_std(one)}, {_majority(one)}", holds))
    words = {"near majority": "within {} of", "above majority": "more than {} above"}[check.kind]
    rule = f"{words.format(f'{check.deviations:g} standard deviations')} the majority class"
    return conclude(steps, rule, AS_PRINTED)


class NeverLearns(Check):
    """No run of `strategies`, at no learning rate, scores more than `points` above the majority class.

    This is the test of learning: a run has learned where it scores more than that. A run that diverged has not. Where
    only a mean was printed, the mean stands for its runs.
    """

    kind: Literal["never learns"] = Field(description="No run at any learning rate learns.")
    strategies: Strategies = Field(description="The strategies of which every run counts, at every learning rate.")
    points: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="A run has learned where it scores more than so many points above the majority class."
    )


@judges(NeverLearns)
def never_learns(check: NeverLearns, evidence: Evidence) -> Finding:
    """Judge whether no run learned; rows (learning rates) whose runs have not all ended are named."""
    steps: list[Step] = []
    unfinished = []
    for key in evidence.columns(check.on):
        for one in evidence.rows(check.strategies, key):
            steps.append(_no_run_learned(one, check.points))
            if one.trouble == "not enough runs":
                unfinished.append(f"{one.label} on {one.column_label}")
    rule = f"no run scores more than {check.points:g} points above the majority class"
    if unfinished:
        rule += f"; not finished: {', '.join(unfinished)}"
    return conclude(steps, rule, "each run by itself")


def _no_run_learned(one: Number, points: float) -> Step:
    # Each run by itself, since the mean over seeds hides one that learned; of what a paper printed it is all there is.
    scores = describe.finite([one.mean] if one.values is None else one.values.values())
    # A diverged run left no score, but it ended and did not learn: there is nothing to wait for.
    if one.baseline is None or (not scores and not one.diverged):
        return undecided(f"{one.column_label}: {one.label}", one.trouble)
    told = [f"highest of {len(scores)} {max(scores):.{one.decimals}f}"] if scores else []
    told += [f"{one.diverged} diverged"] if one.diverged else []
    words = f"{one.column_label}: {one.label} {', '.join(told)}, {_majority(one)}"
    # One run that learned decides, whether or not the others have ended.
    if any(score - one.baseline > points + SLACK for score in scores):
        return Step(words, False)
    if one.trouble == "not enough runs":
        return Step(f"{words}: {one.trouble}", None, one.trouble)
    return Step(words, True)


def _majority(number: Number) -> str:
    return f"majority class {number.baseline:.{number.decimals}f}"
