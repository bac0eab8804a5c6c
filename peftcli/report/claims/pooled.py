"""A check over all columns together: what rises or falls with an option, ranked within each column."""

from typing import Annotated, Literal

from pydantic import Field

from peftcli.report.claims.evidence import Evidence, Measure, Number
from peftcli.report.claims.spec import LEVEL, MEASURE, Check, Level, judges
from peftcli.report.claims.steps import conclude, correlated, undecided, why_not
from peftcli.report.claims.verdicts import Finding
from peftcli.report.statistics import describe, significance

Bound = Annotated[float, Field(allow_inf_nan=False)]


class CommonTrend(Check):
    """Over the rows of `strategy`, mean or std `rises` or `falls` with `option` (Spearman), all columns taken together.

    Rows are ranked within a column, since numbers of different tasks do not compare. `lowest` and `highest` bound the
    option's values that count, both included.
    """

    kind: Literal["common trend"] = Field(
        description="A strategy's mean or deviation rises or falls with an option over all columns together."
    )
    strategy: str = Field(description="The strategy whose rows are taken.")
    option: str = Field(description="The option, or the setting, whose values (numbers) differ from row to row.")
    direction: Literal["rises", "falls"] = Field(description="Where it goes as the option's value rises.")
    lowest: Bound | None = Field(None, description="The lowest value of the option that counts.")
    highest: Bound | None = Field(None, description="The highest value of the option that counts.")
    measure: Measure = Field("mean", description=MEASURE)
    level: Level = Field(0.05, description=LEVEL)


@judges(CommonTrend)
def common_trend(check: CommonTrend, evidence: Evidence) -> Finding:
    """Judge whether ranks within columns correlate with an option, over the rows of all columns."""
    values: list[float | None] = []
    ranks: list[float | None] = []
    rule = f"{check.measure} {check.direction} with {check.option}{_bounds(check)} in all columns together"
    for key in evidence.columns(check.on):
        rows = [(value, n) for n in evidence.rows([check.strategy], key) if (value := _counted(check, n)) is not None]
        if (reason := why_not([number for _, number in rows], check.measure)) is not None:
            return Finding(reason, rule, (undecided(evidence.name(key), reason),), "Spearman")
        values += [value for value, _ in rows]
        ranks += describe.rank([number.get(check.measure) for _, number in rows], False, "average")
    test = significance.spearman(values, ranks)
    words = f"{check.measure} within its column and {check.option}"
    return conclude([correlated(test, 1 if check.direction == "rises" else -1, check.level, words)], rule, "Spearman")


def _counted(check: CommonTrend, number: Number) -> float | None:
    """Return the value of the option in a number's row; None where it is none, or out of bounds."""
    value = {**number.options, **number.setting}.get(check.option)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    low, high = check.lowest, check.highest
    return float(value) if (low is None or value >= low) and (high is None or value <= high) else None


def _bounds(check: CommonTrend) -> str:
    low = "" if check.lowest is None else f" from {check.lowest:g}"
    return low + ("" if check.highest is None else f" up to {check.highest:g}")
