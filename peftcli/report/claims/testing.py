"""Checks that test: overlap, Welch, falling columns, rank correlations."""

import itertools
import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from peftcli.report.claims.evidence import AVERAGE, Evidence, Key, Measure, Number, best
from peftcli.report.claims.spec import LEVEL, MEASURE, ONE_OR_SEVERAL, Check, Level, Strategies, judges
from peftcli.report.claims.steps import (
    AS_PRINTED,
    SLACK,
    conclude,
    correlated,
    everywhere,
    lacking,
    mean_and_std,
    step,
    takers,
    undecided,
    why_not,
)
from peftcli.report.claims.verdicts import Finding, Step, Verdict
from peftcli.report.statistics import describe, significance
from peftcli.report.statistics.significance import Test


class Overlap(Check):
    """Each of `strategies` differs from `than` by at most both standard deviations together; Welch's test is shown."""

    kind: Literal["overlap"] = Field(description="Differences are within both standard deviations together.")
    strategies: Strategies = Field(description="The strategies said to be alike.")
    than: str = Field(description="The strategy that they are compared with.")


@judges(Overlap)
def overlap(check: Overlap, evidence: Evidence) -> Finding:
    """Judge whether differences are within the two standard deviations together; Welch's verdict is told besides."""
    told_apart = []

    def within(column: str, one: Number, other: Number, test: Test) -> tuple[bool, Verdict]:
        if test.p_value is not None and test.p_value < 0.05:
            told_apart.append(f"{one.label} on {column}")
        return abs(one.mean - other.mean) <= one.std + other.std + SLACK, "holds"  # type: ignore[operator]

    steps = _by_welch(check, evidence, within)  # fills `told_apart`
    rest = "nor does Welch's test tell any apart"
    if told_apart:
        rest = f"Welch's test tells apart: {', '.join(told_apart)}"
    return conclude(steps, f"differences within both standard deviations together; {rest}", "overlap; Welch t")


class Welch(Check):
    """By Welch's test at `level`, each of `strategies` `is` lower, higher, different or not different from `than`."""

    kind: Literal["welch"] = Field(description="Welch's test tells strategies from another, or does not.")
    strategies: Strategies = Field(description="The strategies that are tested.")
    than: str = Field(description="The strategy that they are tested against.")
    is_: Annotated[Literal["lower", "higher", "different", "not different"], Field(alias="is")] = Field(
        description="How the test comes out for each of them."
    )
    level: Level = Field(0.05, description=LEVEL)
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None,
        description=(
            "What counts as no difference, in points: without it a tested answer cannot be that there is none. As printed, "
            "the p-value decides alone."
        ),
    )


@judges(Welch)
def welch(check: Welch, evidence: Evidence) -> Finding:
    """Judge whether Welch's test tells strategies from another, or does not."""

    def differs(_: str, one: Number, other: Number, test: Test) -> tuple[bool | None, Verdict]:
        """Whether one strategy differs from the other as the check says; None and a reason where that cannot be told."""
        if test.p_value is None or one.mean is None or other.mean is None:
            return None, "not enough runs" if one.values is not None else "cannot be judged"
        significant = test.p_value < check.level
        lower = one.mean < other.mean
        # "not different" has no direction: it holds where the test is not significant.
        wanted = {"lower": lower, "higher": not lower, "different": True}.get(check.is_)
        return (not significant if wanted is None else significant and wanted), "holds"

    rule = f"{check.is_} {'at' if check.is_.startswith('not') else 'than ' + check.than + ' at'} p < {check.level:g}"
    return conclude(_by_welch(check, evidence, differs), rule + everywhere(check, evidence), "Welch t")


def _by_welch(
    check: Overlap | Welch,
    evidence: Evidence,
    judged: Callable[[str, Number, Number, Test], tuple[bool | None, Verdict]],
) -> list[Step]:
    """Put each strategy's best row beside that of the other, column by column; `judged` says how it comes out."""
    steps = []
    for key in evidence.columns(check.on):
        column, other = evidence.name(key), best(evidence.rows([check.than], key), "mean")
        for one in takers(check.strategies, "best", evidence, key, "mean"):
            reason = lacking(one, other)
            if one is None or other is None or reason is not None:
                steps.append(undecided(column, reason))
                continue
            # From means and deviations alone, so that printed cells are tested as our own are.
            test = significance.welch_from_summary(
                *_over_seeds(one), *_over_seeds(other), ddof=one.ddof, other_ddof=other.ddof
            )
            p_value = "" if test.p_value is None or math.isnan(test.p_value) else f", p = {test.p_value:.2g}"
            words = f"{column}: {one.label} {mean_and_std(one)}, {other.label} {mean_and_std(other)}{p_value}"
            steps.append(Step(words, *judged(column, one, other, test)))
    return steps


def _over_seeds(number: Number) -> tuple[float | None, float | None, int]:
    """Return mean, deviation and count over seeds: runs of one seed are not independent, though a cell counts them all."""
    if not number.values:
        return number.mean, number.std, number.n or 0
    values = describe.finite(number.values.values())
    return describe.mean(values), describe.std(values, number.ddof), len(values)


class Descends(Check):
    """Every row of `strategies` (all, where not given) falls from each column of `on` to the next."""

    kind: Literal["descends"] = Field(description="Rows fall from column to column.")
    on: Annotated[list[str], Field(min_length=2), ONE_OR_SEVERAL] = Field(
        description="The columns, in the order of the fall."
    )
    strategies: Strategies | None = Field(None, description="The strategies whose rows fall; all by default.")


@judges(Descends)
def descends(check: Descends, evidence: Evidence) -> Finding:
    """Judge whether every row falls from column to column."""
    steps = []
    for first, second in itertools.pairwise(evidence.columns(check.on)):
        # A row of the next column is the same row of the same table, not the same strategy: it may have several.
        after = {(number.table, number.row): number for number in evidence.rows(check.strategies, second)}
        for one in evidence.rows(check.strategies, first):
            other = after.get((one.table, one.row))
            fall = step(one, other, evidence.name(second), "mean", lambda a, b: a > b)
            steps.append(Step(f"{evidence.name(first)} to {fall.text}", fall.holds, fall.reason))
    return conclude(steps, "falls from each column to the next in every row", AS_PRINTED)


class RankCorrelation(Check):
    """The rank by standard deviation and the rank by mean, taken in each column, correlate positively (Spearman).

    A table's average, where it has a deviation, is a column too, as are the columns of the further `tables` that the
    claim names. Equal ranks are the best of them, as in the effectiveness paper's Figure 4.
    """

    kind: Literal["rank correlation"] = Field(description="Ranks by deviation and by mean correlate positively.")
    level: Level = Field(0.05, description=LEVEL)


@judges(RankCorrelation)
def rank_correlation(check: RankCorrelation, evidence: Evidence) -> Finding:
    """Judge whether rank by deviation and rank by mean correlate, over all columns of the tables that count."""
    columns: dict[tuple[int, Key], list[Number]] = {}
    for number in evidence.numbers:
        if not number.copied:
            columns.setdefault((number.table, number.key), []).append(number)
    by_std: list[float | None] = []
    by_mean: list[float | None] = []
    for (_, key), column in columns.items():
        # A paper may print averages without deviations: there is nothing to rank then, and nothing missing either.
        if key == AVERAGE and not any(number.std is not None or number.trouble for number in column):
            continue
        if (reason := why_not(column, "mean") or why_not(column, "std")) is not None:
            return Finding(reason, "positive", (undecided(column[0].column_label, reason),), "Spearman")
        # Ranked within a column, since scores of different tasks do not compare; correlated over all of them.
        by_std += describe.rank([n.get("std") for n in column], higher_is_better=False)
        by_mean += describe.rank([n.get("mean") for n in column])
    test = significance.spearman(by_std, by_mean)
    rule = f"ranks of {len(by_std)} cells in {len(columns)} columns correlate positively, p < {check.level:g}"
    return conclude([correlated(test, 1, check.level, "stability and performance")], rule, test.name)


class Trend(Check):
    """Over the rows of `strategy`, mean or std `rises` or `falls` with `option` (Spearman) in every column named."""

    kind: Literal["trend"] = Field(description="A strategy's mean or deviation rises or falls with an option.")
    strategy: str = Field(description="The strategy whose rows are taken.")
    option: str = Field(description="The option, or the setting, whose values differ from row to row.")
    direction: Literal["rises", "falls"] = Field(description="Where it goes as the option's value rises.")
    measure: Measure = Field("mean", description=MEASURE)
    level: Level = Field(0.05, description=LEVEL)


@judges(Trend)
def trend(check: Trend, evidence: Evidence) -> Finding:
    """Judge whether the mean or deviation rises or falls with an option."""
    steps = []
    sign = 1 if check.direction == "rises" else -1
    for key in evidence.columns(check.on):
        rows = evidence.rows([check.strategy], key)
        if (reason := why_not(rows, check.measure)) is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        # What is varied may be an option, or a setting of the recipe's tasks and rates.
        values = [{**number.options, **number.setting}.get(check.option) for number in rows]
        test = significance.spearman(values, [number.get(check.measure) for number in rows])
        steps.append(correlated(test, sign, check.level, f"{evidence.name(key)}: {check.measure} and {check.option}"))
    return conclude(steps, f"{check.measure} {check.direction} with {check.option}", "Spearman")
