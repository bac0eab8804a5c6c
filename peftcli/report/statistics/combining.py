"""From tests of single statements to one of several: "all of", "any of", "at least k of".

A statement is tested on both sides. `supporting` is the p-value of its opposite (one-sided: half of alpha decides), and
`against` that of itself. At least k of m statements hold where the k-th smallest supporting p-value, times m - k + 1, is
small (the partial conjunction of Benjamini and Heller, Biometrics 2008): for "all of" that is the largest p-value as it
is, for "any of" the smallest times m, the first step of Holm's. The opposite, at least m - k + 1 of them being false, is
the same the other way round. So "all of" is supported without a correction and contradicted only with one, "any of" the
reverse, and a statement of statements needs no other rule.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from peftcli.report.statistics.contrast import ALPHA, Contrast

Answer = Literal["supported", "leans for", "leans against", "contradicted", "cannot be judged"]


@dataclass(frozen=True)
class Statement:
    """A statement after its test: the p-values of its opposite and of itself, each one-sided, and what the estimate says.

    `leans` is whether the estimate alone would have it so, None where there is none. `why_not` says why there is no
    test ("no valid test", "fewer than 3 seeds"); both p-values are 1 then.
    """

    supporting: float
    against: float
    leans: bool | None
    why_not: str = ""

    @property
    def answer(self) -> Answer:
        """What the test says: each side at half of alpha; else whichever way the estimate leans."""
        if self.supporting <= ALPHA / 2:
            return "supported"
        if self.against <= ALPHA / 2:
            return "contradicted"
        if self.leans is None:
            return "cannot be judged"
        return "leans for" if self.leans else "leans against"


def untested(why_not: str, leans: bool | None = None) -> Statement:
    """Return a statement without a test; without an estimate either, it cannot be judged."""
    return Statement(1.0, 1.0, leans, why_not)


def above(difference: Contrast, boundary: float = 0.0) -> Statement:
    """Test that a difference is above a boundary: supported where its 95 % interval lies wholly above."""
    leans = None if math.isnan(difference.estimate) else difference.estimate > boundary
    return Statement(difference.p_above(boundary), difference.p_below(boundary), leans, difference.why_not)


def near(difference: Contrast, margin: float) -> Statement:
    """Test that a difference is within a margin, both ways.

    Supported where its 90 % interval lies inside (two one-sided tests at alpha), contradicted where its 95 % interval
    lies wholly outside.
    """
    return between(above(difference, -margin), opposite(above(difference, margin)))


def between(lower: Statement, upper: Statement) -> Statement:
    """Test that something is above a lower boundary and not above an upper one, of the tests of both."""
    inside = max(lower.supporting, upper.supporting)
    # Halved: what is asked of either side here is alpha, where `answer` asks for half of it.
    supporting = inside if inside == 1 else inside / 2
    leans = None if None in (lower.leans, upper.leans) else bool(lower.leans and upper.leans)
    return Statement(supporting, min(lower.against, upper.against), leans, lower.why_not or upper.why_not)


def opposite(statement: Statement) -> Statement:
    """Return the test of a statement's opposite."""
    leans = None if statement.leans is None else not statement.leans
    return Statement(statement.against, statement.supporting, leans, statement.why_not)


def at_least(k: int, statements: Sequence[Statement]) -> Statement:
    """Test that at least k of some statements hold. One without a test counts on neither side.

    Where neither side is shown and a statement that cannot be judged could decide, neither can the whole.
    """
    m = len(statements)
    if not 0 < k <= m:  # nothing to show, or what cannot be
        return Statement(0.0, 1.0, True) if k <= 0 else Statement(1.0, 0.0, False)
    supporting = sorted(statement.supporting for statement in statements)[k - 1]
    against = sorted(statement.against for statement in statements)[m - k]
    true = sum(statement.leans is True for statement in statements)
    false = sum(statement.leans is False for statement in statements)
    leans = True if true >= k else False if false > m - k else None
    why_not = next((statement.why_not for statement in statements if statement.why_not), "")
    return Statement(min(1.0, (m - k + 1) * supporting), min(1.0, k * against), leans, why_not)


def all_of(statements: Sequence[Statement]) -> Statement:
    """Test that all of some statements hold."""
    return at_least(len(statements), statements)


def any_of(statements: Sequence[Statement]) -> Statement:
    """Test that any of some statements holds."""
    return at_least(1, statements)


def capped(statement: Statement, why: str) -> Statement:
    """Return a statement that can lean at most, for a reason: a collapsed run, learning rates chosen where judged."""
    return untested(why, statement.leans)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being several (Holm, 1979), in their order: the smallest times m, the next times m - 1, …"""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[index]))
        adjusted[index] = highest
    return adjusted
