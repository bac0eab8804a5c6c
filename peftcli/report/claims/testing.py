"""Checks that test: overlap, Welch, nearness to the majority class, falling columns, rank correlations."""

import itertools
import math
from collections.abc import Callable

from peftcli.report.claims.comparing import AS_PRINTED, SLACK, conclude, everywhere, step, takers, undecided, why_not
from peftcli.report.claims.evidence import AVERAGE, Evidence, Key, Measure, Number, best
from peftcli.report.claims.spec import Descends, NearMajority, Overlap, RankCorrelation, Trend, Welch
from peftcli.report.claims.verdicts import Finding, Step, Verdict
from peftcli.report.statistics import describe, significance
from peftcli.report.statistics.significance import Test


def overlap(check: Overlap, evidence: Evidence) -> Finding:
    """Judge whether differences are within the two standard deviations together; Welch's verdict is told besides."""
    told_apart = []

    def within(place: str, one: Number, other: Number, test: Test) -> tuple[bool, Verdict]:
        if test.p_value is not None and test.p_value < 0.05:
            told_apart.append(f"{one.label} on {place}")
        return abs(one.mean - other.mean) <= one.std + other.std + SLACK, "holds"  # type: ignore[operator]

    steps = _by_welch(check, evidence, within)
    rest = (
        f"Welch's test tells apart: {', '.join(told_apart)}" if told_apart else "nor does Welch's test tell any apart"
    )
    return conclude(steps, f"differences within both standard deviations together; {rest}", "overlap; Welch t")


def welch(check: Welch, evidence: Evidence) -> Finding:
    """Judge whether Welch's test tells strategies from another, or does not."""

    def differs(_: str, one: Number, other: Number, test: Test) -> tuple[bool | None, Verdict]:
        return _welch_verdict(check, one, other, test)

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
        place, other = evidence.name(key), best(evidence.rows([check.than], key), "mean")
        for one in takers(check.strategies, "best", evidence, key, "mean"):
            reason = _lacking(one, other)
            if one is None or other is None or reason is not None:
                steps.append(undecided(place, reason))
                continue
            test = welch_test(one, other)
            words = f"{place}: {one.label} {_pair(one)}, {other.label} {_pair(other)}{_p(test)}"
            steps.append(Step(words, *judged(place, one, other, test)))
    return steps


def near_majority(check: NearMajority, evidence: Evidence) -> Finding:
    """Judge whether strategies are within some of their own standard deviations of the majority class."""
    steps = []
    for key in evidence.columns(check.on):
        for one in takers(check.strategies, check.take, evidence, key, "mean"):
            reason = _lacking(one)
            if one is None or one.baseline is None or reason is not None:
                steps.append(undecided(evidence.name(key), reason))
                continue
            near = abs(one.mean - one.baseline) <= check.deviations * one.std + SLACK  # type: ignore[operator]
            words = f"{evidence.name(key)}: {one.label} {_pair(one)}, majority class {one.baseline:.{one.decimals}f}"
            steps.append(Step(words, near))
    return conclude(steps, f"within {check.deviations:g} standard deviations of the majority class", AS_PRINTED)


def descends(check: Descends, evidence: Evidence) -> Finding:
    """Judge whether every row falls from column to column."""
    steps = []
    keys = evidence.columns(check.on)
    for first, second in itertools.pairwise(keys):
        lower = {(number.table, number.row): number for number in evidence.rows(check.strategies, second)}
        for one in evidence.rows(check.strategies, first):
            found = step(one, lower.get((one.table, one.row)), evidence.name(second), "mean", lambda a, b: a > b)
            steps.append(Step(f"{evidence.name(first)} to {found.text}", found.holds, found.reason))
    return conclude(steps, "falls from each column to the next in every row", AS_PRINTED)


def rank_correlation(check: RankCorrelation, evidence: Evidence) -> Finding:
    """Judge whether rank by deviation and rank by mean correlate, over all columns of the tables that count."""
    by_std: list[float | None] = []
    by_mean: list[float | None] = []
    columns: dict[tuple[int, Key], list[Number]] = {}
    for number in evidence.numbers:
        if number.key != AVERAGE and not number.copied:
            columns.setdefault((number.table, number.key), []).append(number)
    for column in columns.values():
        if (reason := why_not(column, "mean") or why_not(column, "std")) is not None:
            return Finding(reason, "positive", (undecided(column[0].place, reason),), "Spearman")
        by_std += describe.rank([n.get("std") for n in column], higher_is_better=False, ties="average")
        by_mean += describe.rank([n.get("mean") for n in column], ties="average")
    test = significance.spearman(by_std, by_mean)
    rule = f"ranks of {len(by_std)} cells in {len(columns)} columns correlate positively, p < {check.level:g}"
    return conclude([_correlated(test, 1, check.level, "stability and performance")], rule, test.name)


def trend(check: Trend, evidence: Evidence) -> Finding:
    """Judge whether the mean or deviation rises or falls with an option."""
    steps = []
    for key in evidence.columns(check.on):
        rows = evidence.rows([check.strategy], key)
        if (reason := why_not(rows, check.measure)) is not None:
            steps.append(undecided(evidence.name(key), reason))
            continue
        values = [{**number.options, **number.setting}.get(check.option) for number in rows]
        test = significance.spearman(values, [number.get(check.measure) for number in rows])
        sign = 1 if check.direction == "rises" else -1
        steps.append(_correlated(test, sign, check.level, f"{evidence.name(key)}: {check.measure} and {check.option}"))
    return conclude(steps, f"{check.measure} {check.direction} with {check.option}", "Spearman")


def _correlated(test: Test, sign: int, level: float, words: str) -> Step:
    if test.statistic is None or test.p_value is None:
        return Step(f"{words}: {test.note}", None, "cannot be judged")
    holds = sign * test.statistic > 0 and test.p_value < level
    note = f"; {test.note}" if test.note else ""
    return Step(f"{words}: rho = {test.statistic:.3f}, p = {test.p_value:.2g}, n = {test.n}{note}", holds)


def welch_test(one: Number, other: Number) -> Test:
    """Test two numbers from their means and deviations."""
    return significance.welch_from_summary(
        one.mean, one.std, one.n or 0, other.mean, other.std, other.n or 0, ddof=one.ddof, other_ddof=other.ddof
    )


def _welch_verdict(check: Welch, one: Number, other: Number, test: Test) -> tuple[bool | None, Verdict]:
    if test.p_value is None or one.mean is None or other.mean is None:
        return None, "not enough runs" if one.values is not None else "cannot be judged"
    significant = test.p_value < check.level
    lower = one.mean < other.mean
    wanted = {"lower": lower, "higher": not lower, "different": True}.get(check.is_)
    return (not significant if wanted is None else significant and wanted), "holds"


def _lacking(*numbers: Number | None) -> Verdict | None:
    """Why numbers cannot be tested: each needs a mean and a deviation. None where they can, or one is not there."""
    measures: tuple[Measure, Measure] = ("mean", "std")
    return next((reason for n in numbers if n for m in measures if (reason := n.undecided(m))), None)


def _pair(number: Number) -> str:
    return f"{number.text('mean')}±{number.text('std')}"


def _p(test: Test) -> str:
    return "" if test.p_value is None or math.isnan(test.p_value) else f", p = {test.p_value:.2g}"
