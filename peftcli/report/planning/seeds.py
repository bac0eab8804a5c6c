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
from peftcli.report.planning.pairs import Part
from peftcli.report.planning.spread import Spread
from peftcli.report.statistics import power
from peftcli.report.statistics.contrast import ALPHA

Named = tuple[Part, float]  # with the difference that is to be found
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
    """A claim of `comparisons` pairs, of which it needs some: each is planned at the power `each`, for 80 % of them all.

    `hardest` is the pair that takes the most seeds, and the claim takes as many; their hours are those of all its
    pairs. `reasons` say what of it is not planned, and why: then no number of seeds decides the whole claim.
    """

    claim: str
    where: str
    comparisons: int
    needed: int
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
        named += [(pair, difference) for part, difference in compared for pair in part.pairs]
    # One line a pair and difference, though several claims may name it.
    once = {(id(one), id(other), difference): (one, other) for (one, other), difference in named}
    return SeedPlan(
        tuple(
            _of_pair(one, other, difference, basis, timed)
            for (*_, difference), (one, other) in once.items()
            if one is not None and other is not None
        ),
        tuple(plans),
    )


def _compared(claim: Claim, basis: Basis, detect: float | None, point: float) -> tuple[list[Named], list[str]]:
    """Return the parts of a claim, each with its difference, and what of it compares no two means."""
    named, reasons = list[Named](), list[str]()
    for check in claim.checks:
        evidence = basis.of_claim(claim)
        try:
            compared = pairs.of_check(check, evidence)
        except UserError as error:  # a recipe that is narrowed on the command line may lack what its claims name
            reasons.append(str(error))
            continue
        named += [(part, detect or pairs.margin(check) or point) for part in compared]
        if not compared:
            std = getattr(check, "measure", "mean") == "std"
            reasons.append("deviations are compared: no t test" if std else f"{check.kind}: no two means are compared")
    return named, reasons


def _of_claim(
    claim: Claim, named: Sequence[Named], reasons: Sequence[str], basis: Basis, timed: Mapping[str, float]
) -> ClaimPlan:
    """Plan a claim: of the chance of 0.2 that it is missed, each comparison that it needs has an equal part."""
    needed, total = sum(part.needed for part, _ in named), sum(len(part.pairs) for part, _ in named)
    each = 1 - (1 - power.POWER) / max(needed, 1)
    hardest, missing, numbers = list[PairPlan](), Counter[str](), list[Number]()
    for part, difference in named:
        # At least k of m: each at its part of alpha, as the tested answer has it.
        alpha = ALPHA / (len(part.pairs) - part.needed + 1)
        both = [(one, other) for one, other in part.pairs if one is not None and other is not None]
        plans = [_of_pair(one, other, difference, basis, timed, each, alpha) for one, other in both]
        planned = sorted((plan for plan in plans if plan.seeds), key=_hardness)
        hardest += planned[: part.needed][-1:]
        missing += Counter(plan.reason for plan in plans if plan.reason)
        missing["no number of its own"] += len(part.pairs) - len(both)
        numbers += [number for pair in both for number in pair]
    without = [f"{count} of {total} comparisons: {reason}" for reason, count in missing.items() if count]
    last = max(hardest, key=_hardness, default=None)
    if last is not None and last.seeds is not None:
        # Whichever come out, all of them have to be trained.
        hours = _times(cost.hours_of_a_seed(numbers, basis, timed), last.seeds.n)
        last = replace(last, seeds=replace(last.seeds, hours=hours))
    return ClaimPlan(claim.claim, claim.where, total, needed, each, last, (*reasons, *without))


def _hardness(plan: PairPlan) -> tuple[float, float]:
    """Order pairs that are planned by their seeds, and those beyond all counting by how much they vary."""
    assert plan.seeds is not None
    assert plan.spread is not None
    return plan.seeds.n or math.inf, plan.spread.error / plan.difference


def _of_pair(
    one: Number,
    other: Number,
    difference: float,
    basis: Basis,
    timed: Mapping[str, float],
    chance: float = power.POWER,
    alpha: float = ALPHA,
) -> PairPlan:
    """Plan one pair."""
    varies = spread.of_pair(one, other, basis)
    cells = [cell for number in (one, other) for cell in basis.cells_of(number)]
    planned = min(cell.planned for cell in cells)
    plan = PairPlan(one.label, other.label, one.column_label, difference, planned, None, None)
    if isinstance(varies, str):
        return replace(plan, reason=varies)
    n, low, high = (
        power.seeds_needed(difference, each.deviation, power=chance, alpha=alpha) for each in (varies, *varies.ends())
    )
    hours = _times(cost.hours_of_a_seed([one, other], basis, timed), n)
    collapsed = sum(len(cell.collapsed) for cell in cells) if varies.source != "printed" else 0
    return replace(plan, spread=varies, seeds=Seeds(n, low, high, hours), collapsed=collapsed)


def _times(hours: float | None, n: int | None) -> float | None:
    return None if hours is None or n is None else hours * n
