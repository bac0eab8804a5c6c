"""How many seeds find a stated difference in each pair that a recipe's claims or its reference name, and in each claim.

Planned for a stated difference, never for the observed one: a study that is planned on a lucky estimate is too small.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from peftcli.errors import UserError
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.report.claims import spec
from peftcli.report.claims.evidence import Number
from peftcli.report.claims.spec import Claim
from peftcli.report.planning import basis as bases
from peftcli.report.planning import cost, pairs, spread
from peftcli.report.planning.basis import Basis
from peftcli.report.planning.pairs import Pair
from peftcli.report.planning.spread import Spread
from peftcli.report.statistics import power

Named = tuple[Pair, float]  # with the difference that is to be found
POINT = {"percent": 1.0, "fraction": 0.01}  # one point in a table's unit


@dataclass(frozen=True)
class Seeds:
    """How many seeds are needed, and how many at both ends of the deviation's 95 % interval; None: more than 1,000.

    `hours`: what they take on both sides, at every learning rate that can be chosen; None where that cannot be told.
    """

    n: int | None
    low: int | None
    high: int | None
    hours: float | None


@dataclass(frozen=True)
class PairPlan:
    """A pair, the difference that is to be found, in the table's unit, how it varies, and the seeds that it takes.

    `reason` says why there is no spread and no number of seeds; "" where there are. `planned`: the recipe's seeds.
    `collapsed`: how many runs that gave every example one answer are among the recorded ones.
    """

    one: str
    other: str
    column: str
    difference: float
    planned: int
    spread: Spread | None
    seeds: Seeds | None
    reason: str = ""
    collapsed: int = 0


@dataclass(frozen=True)
class ClaimPlan:
    """A claim of `comparisons` pairs, each of them planned at the power `each`, so that together they have 80 %.

    `hardest` is the pair that takes the most seeds, and the claim takes as many; their hours are those of all its
    pairs. `reasons` say what of it is not planned, and why: then no number of seeds decides the whole claim.
    """

    claim: str
    where: str
    comparisons: int
    each: float
    hardest: PairPlan | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SeedPlan:
    """The plans of all pairs, those of the reference first, and of all claims."""

    pairs: tuple[PairPlan, ...]
    claims: tuple[ClaimPlan, ...]


def plan(
    recipe: Recipe, planned: Sequence[Planned], output: Path, detect: float | None, timed: Mapping[str, float]
) -> SeedPlan:
    """Plan for the difference `detect`, in the table's unit; None: each claim's own margin, or one point without one.

    `planned` are the recipe's runs, whose records are looked for in `output`. `timed`: seconds a run by what the runs of
    its cohort have in common (see `cost`). Raises UserError.
    """
    claims = spec.read(recipe)
    beside = list(dict.fromkeys(name for claim in claims for name in claim.tables))
    basis = bases.gather_all(recipe, planned, beside, output)
    view = basis.tables[0].view
    point = POINT[view.scale] if detect is None else detect
    named = [(pair, point) for pair in pairs.of_reference(view, basis.evidence)]
    plans = []
    for claim in claims:
        compared, reasons = _compared(claim, basis, detect, point)
        plans.append(_of_claim(claim, compared, reasons, basis, timed))
        named += compared
    # One line a pair and difference, though several claims may name it.
    once = {(id(one), id(other), difference): (one, other) for (one, other), difference in named}
    return SeedPlan(
        tuple(
            _of_pair(one, other, difference, power.POWER, basis, timed)
            for (*_, difference), (one, other) in once.items()
            if one is not None and other is not None
        ),
        tuple(plans),
    )


def _compared(claim: Claim, basis: Basis, detect: float | None, point: float) -> tuple[list[Named], list[str]]:
    """Return the pairs that a claim compares, each with its difference, and what of it compares no two means."""
    named, reasons = list[Named](), list[str]()
    for check in claim.checks:
        evidence = basis.of_claim(claim)
        try:
            compared = pairs.of_check(check, evidence)
        except UserError as error:  # a recipe that is narrowed on the command line may lack what its claims name
            reasons.append(str(error))
            continue
        named += [(pair, detect or pairs.margin(check) or point) for pair in compared]
        if not compared:
            std = getattr(check, "measure", "mean") == "std"
            reasons.append("deviations are compared: no t test" if std else f"{check.kind}: no two means are compared")
    return named, reasons


def _of_claim(
    claim: Claim, named: Sequence[Named], reasons: Sequence[str], basis: Basis, timed: Mapping[str, float]
) -> ClaimPlan:
    """Plan a claim: with a chance of 0.2 that any of its pairs is missed, each may be missed with that share of it."""
    each = 1 - (1 - power.POWER) / max(len(named), 1)
    both = [(one, other, difference) for (one, other), difference in named if one is not None and other is not None]
    plans = [_of_pair(one, other, difference, each, basis, timed) for one, other, difference in both]
    planned = [
        (plan.seeds.n or math.inf, plan.spread.error / plan.difference, plan)
        for plan in plans
        if plan.seeds and plan.spread
    ]
    missing = Counter(plan.reason for plan in plans if plan.reason)
    missing["no number of its own"] += len(named) - len(both)
    without = [f"{count} of {len(named)} comparisons: {reason}" for reason, count in missing.items() if count]
    hardest = max(planned, key=lambda each: each[:2])[2] if planned else None
    if hardest is not None and hardest.seeds is not None:
        hours = cost.hours_of_a_seed([number for one, other, _ in both for number in (one, other)], basis, timed)
        seeds = replace(hardest.seeds, hours=_times(hours, hardest.seeds.n))
        hardest = replace(hardest, seeds=seeds)
    return ClaimPlan(claim.claim, claim.where, len(named), each, hardest, (*reasons, *without))


def _of_pair(
    one: Number, other: Number, difference: float, chance: float, basis: Basis, timed: Mapping[str, float]
) -> PairPlan:
    """Plan one pair at a power."""
    varies = spread.of_pair(one, other, basis)
    cells = [cell for number in (one, other) for cell in basis.cells_of(number)]
    planned = min(cell.planned for cell in cells)
    plan = PairPlan(one.label, other.label, one.column_label, difference, planned, None, None)
    if isinstance(varies, str):
        return replace(plan, reason=varies)
    n, low, high = (power.seeds_needed(difference, each.deviation, power=chance) for each in (varies, *varies.ends()))
    hours = _times(cost.hours_of_a_seed([one, other], basis, timed), n)
    collapsed = sum(len(cell.collapsed) for cell in cells) if varies.source != "printed" else 0
    return replace(plan, spread=varies, seeds=Seeds(n, low, high, hours), collapsed=collapsed)


def _times(hours: float | None, n: int | None) -> float | None:
    return None if hours is None or n is None else hours * n
