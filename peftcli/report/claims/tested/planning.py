"""How many seeds decide comparisons, all at once: planned for a stated difference from the boundary, never the observed one.

Of a claim that its test leaves open, and of every claim before a study.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.report.claims.answers import CheckAnswer, Plan, Seeds
from peftcli.report.claims.tested.listing import Compared, Ranked
from peftcli.report.statistics import describe, power
from peftcli.report.statistics.contrast import LEAST_SEEDS


@dataclass(frozen=True)
class Hardest:
    """The comparison that takes the most `seeds` (None: more than 1,000): its family and itself, by index.

    `times` is how many times stricter it is tested than alone.
    """

    family: int
    comparison: int
    times: int
    seeds: int | None


@dataclass(frozen=True)
class Joint:
    """Families planned together: `needed` comparisons, each at the power `each`; `hardest` of those that can be planned.

    `whole` is whether every family has as many as it needs.
    """

    needed: int
    each: float
    hardest: Hardest | None
    whole: bool


def plan(
    compared: Compared | Ranked, difference: float, deviation: float | tuple[float, float], collapsed: bool
) -> Plan:
    """Return what seeds are planned for in one comparison; `collapsed`: whether a run of either side did."""
    # A collapsed run keeps few seeds from an answer.
    return Plan(
        difference, deviation, compared.alpha, describe.FEW if collapsed else LEAST_SEEDS, 2 if compared.within else 1
    )


def needed(plan: Plan, chance: float = power.POWER, times: int = 1) -> int | None:
    """Return the least number of seeds that finds a comparison's difference with this chance; None beyond 1,000.

    `times`: how many times stricter it is tested than alone.
    """
    # Within a margin both sides must be shown, each at half of what may be missed.
    chance = 1 - (1 - chance) / plan.sides
    number = power.seeds_needed(plan.difference, plan.deviation, power=chance, alpha=plan.alpha / times)
    return None if number is None else max(number, plan.least)


def joint(families: Sequence[tuple[int, Sequence[Plan | None]]]) -> Joint:
    """Plan for families of comparisons at once, with 80 % power: of each so many must come out as claimed.

    Each of m comparisons is planned at 1 - 0.2 / m, so that all of them together have 80 %. Of a family that needs some of
    its comparisons those count that take the fewest seeds. None stands for a comparison that cannot be planned.
    """
    wanted = [min(k, len(plans)) for k, plans in families]
    each = 1 - (1 - power.POWER) / max(sum(wanted), 1)
    hardest, whole = list[Hardest](), bool(families)
    for index, (k, (_, plans)) in enumerate(zip(wanted, families, strict=True)):
        times = len(plans) - k + 1  # at least k of m: each at its part of alpha, as the test has it
        planned = [Hardest(index, at, times, needed(one, each, times)) for at, one in enumerate(plans) if one]
        hardest += sorted(planned, key=_most)[:k][-1:]
        whole = whole and 0 < k <= len(planned)
    return Joint(sum(wanted), each, max(hardest, key=_most, default=None), whole)


def _most(of: Hardest) -> float:
    return math.inf if of.seeds is None else of.seeds


def seeds(checks: Sequence[CheckAnswer]) -> Seeds | None:
    """Return how many seeds would decide the checks that are open, all at once; None where none would."""
    parts = [
        part
        for check in checks
        if check.answer in ("leans for", "leans against")
        for part in check.parts
        if part.statement.answer not in ("supported", "contradicted")
    ]
    planned = joint([(part.needed, [each.plan for each in part.comparisons]) for part in parts])
    if planned.hardest is None or not planned.whole:
        return None
    hardest = parts[planned.hardest.family].comparisons[planned.hardest.comparison]
    assert hardest.plan is not None
    words = f"{hardest.column}: {hardest.one}, {hardest.other}"
    return Seeds(planned.hardest.seeds, hardest.plan.difference, planned.needed, words)
