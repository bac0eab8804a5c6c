"""Steps of a check: rows taken, two numbers compared, and the verdict that the steps come to."""

from collections.abc import Callable, Iterable, Sequence

from peftcli.report.claims.evidence import Evidence, Key, Measure, Number, best, goodness
from peftcli.report.claims.spec import Check
from peftcli.report.claims.verdicts import Finding, Step, Verdict
from peftcli.report.statistics.significance import Test

SLACK = 1e-9  # two rounded numbers differ by a whole number of last digits, but for this
AS_PRINTED = "compared as printed"


def everywhere(check: Check, evidence: Evidence) -> str:
    """Say that a check is about every column, where there are several."""
    return " in every column" if len(evidence.columns(check.on)) > 1 else ""


def takers(names: Sequence[str], take: str, evidence: Evidence, key: Key, measure: Measure) -> list[Number | None]:
    """Return the rows that a check judges in a column: the best of each name, every one, or the best of all together.

    None stands for a name without a number in this column.
    """
    if take == "every":
        return [number for name in names for number in evidence.rows([name], key)]
    if take == "any":
        return [best(evidence.rows(names, key), measure)]
    return [best(evidence.rows([name], key), measure) for name in names]


def step(
    one: Number | None, other: Number | None, column: str, measure: Measure, holds: Callable[[float, float], bool]
) -> Step:
    """Compare two numbers of a column; `holds` takes them as printed, larger being better."""
    if one is None or other is None:
        return Step(f"{column}: no number to compare", None, "cannot be judged")
    # The numbers are told even where they decide nothing.
    reason = one.undecided(measure) or other.undecided(measure)
    words = f"{column}: {one.label} {one.text(measure)}, {other.label} {other.text(measure)}"
    if reason is not None:
        return Step(f"{words}: {reason}", None, reason)
    came_out = holds(goodness(one, measure), goodness(other, measure))
    return Step(f"{words} ({difference(one, other, measure)})", came_out)


def difference(one: Number, other: Number, measure: Measure) -> str:
    """Word the difference of two numbers, in the digits of the finer of the two."""
    left, right = one.get(measure), other.get(measure)
    assert left is not None
    assert right is not None
    # As printed: of the rounded numbers.
    return f"{left - right:+.{max(one.decimals, other.decimals)}f}"


def compared(measure: Measure) -> str:
    """Say how the comparison was made."""
    return f"{'standard deviations, lower being better, ' if measure == 'std' else ''}{AS_PRINTED}"


def undecided(column: str, reason: Verdict | None) -> Step:
    """Return the step of a column where nothing can be said, for want of runs or of a number at all."""
    verdict: Verdict = reason or "cannot be judged"
    return Step(f"{column}: {verdict}", None, verdict)


def why_not(numbers: Sequence[Number], measure: Measure) -> Verdict | None:
    """Say why nothing can be decided with these numbers, none at all included; None where it can."""
    if not numbers:
        return "cannot be judged"
    return next((reason for number in numbers if (reason := number.undecided(measure))), None)


def conclude(steps: Sequence[Step], rule: str, test: str) -> Finding:
    """Return the finding of a check whose every step must hold."""
    # One step that fails decides, whatever the open ones would say; one that is open leaves the rest undecided.
    open_reason = next((each.reason for each in steps if each.holds is None), None)
    if any(each.holds is False for each in steps):
        return Finding("does not hold", rule, tuple(steps), test)
    return Finding(open_reason or ("holds" if steps else "cannot be judged"), rule, tuple(steps), test)


def won(steps: Iterable[Step]) -> int:
    """Count the steps that came out as claimed."""
    return sum(each.holds is True for each in steps)


def count(steps: Sequence[Step], needed: int, rule: str, test: str) -> Finding:
    """Return the finding of a check that needs so many steps to hold."""
    open_steps = [each for each in steps if each.holds is None]
    if won(steps) >= needed:
        return Finding("holds", rule, tuple(steps), test)
    # Undecided only while the open steps could still tip it.
    if won(steps) + len(open_steps) < needed or not open_steps:
        return Finding("does not hold", rule, tuple(steps), test)
    return Finding(open_steps[0].reason, rule, tuple(steps), test)


def lacking(*numbers: Number | None) -> Verdict | None:
    """Say why numbers cannot be tested, which takes a mean and a deviation; None where they can, or one is absent."""
    measures: tuple[Measure, Measure] = ("mean", "std")
    return next((reason for n in numbers if n for m in measures if (reason := n.undecided(m))), None)


def mean_and_std(number: Number) -> str:
    """Return both as printed: "52.8±2.0"."""
    return f"{number.text('mean')}±{number.text('std')}"


def correlated(test: Test, sign: int, level: float, words: str) -> Step:
    """Return the step of a rank correlation that must have this sign and be significant (two-sided)."""
    if test.statistic is None or test.p_value is None:
        return Step(f"{words}: {test.note}", None, "cannot be judged")
    holds = sign * test.statistic > 0 and test.p_value < level
    note = f"; {test.note}" if test.note else ""
    return Step(f"{words}: rho = {test.statistic:.3f}, p = {test.p_value:.2g}, n = {test.n}{note}", holds)
