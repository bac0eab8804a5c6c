"""How many seeds would decide a claim that its test leaves open: planned for a stated difference, never the observed one."""

from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.report.claims.answers import CheckAnswer, Comparison, Part, Plan, Seeds
from peftcli.report.statistics import power


@dataclass(frozen=True)
class _Needed:
    number: int | None
    comparison: Comparison

    @property
    def order(self) -> float:
        return float("inf") if self.number is None else self.number


def seeds(checks: Sequence[CheckAnswer]) -> Seeds | None:
    """Return how many seeds would decide the checks that are open, all at once with 80 % power; None where none would.

    Each of m comparisons is planned at 1 - 0.2 / m, so that all of them together have 80 %. Of a part that needs some of
    its comparisons those count that take the fewest seeds.
    """
    parts = [
        part
        for check in checks
        if check.answer in ("leans for", "leans against")
        for part in check.parts
        if part.statement.answer not in ("supported", "contradicted")
    ]
    wanted = sum(min(part.needed, len(part.comparisons)) for part in parts)
    if not wanted:
        return None
    needed = [_of_part(part, 1 - (1 - power.POWER) / wanted) for part in parts]
    if None in needed:
        return None
    hardest = max((each for each in needed if each is not None), key=lambda each: each.order)
    comparison = hardest.comparison
    assert comparison.plan is not None
    words = f"{comparison.column}: {comparison.one}, {comparison.other}"
    return Seeds(hardest.number, comparison.plan.difference, wanted, words)


def _of_part(part: Part, chance: float) -> _Needed | None:
    """Return the hardest comparison of the easiest that a part needs; None where too few can be planned."""
    # At least k of m: each at its part of alpha, as the test has it.
    times = len(part.comparisons) - part.needed + 1
    planned = [
        _Needed(_seeds(comparison, chance, times), comparison)
        for comparison in part.comparisons
        if comparison.plan is not None
    ]
    if part.needed < 1 or len(planned) < part.needed:
        return None
    return sorted(planned, key=lambda each: each.order)[part.needed - 1]


def _seeds(comparison: Comparison, chance: float, times: int) -> int | None:
    plan: Plan | None = comparison.plan
    assert plan is not None
    # Within a margin both sides must be shown, each at half of what may be missed.
    chance = 1 - (1 - chance) / 2 if comparison.near is not None else chance
    number = power.seeds_needed(plan.difference, plan.deviation, power=chance, alpha=plan.alpha / times)
    return None if number is None else max(number, plan.least)
