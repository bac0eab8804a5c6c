"""How many seeds find a stated difference in each pair that a recipe's claims or its reference name, and in each claim.

Planned for a stated difference, never for the observed one: a study that is planned on a lucky estimate is too small.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from peftcli.errors import UserError
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.report.claims import spec
from peftcli.report.claims.answers import Plan
from peftcli.report.claims.evidence import Evidence, Number
from peftcli.report.claims.spec import Claim
from peftcli.report.claims.tested import planning, registry
from peftcli.report.claims.tested.listing import Compared, Family, Ranked
from peftcli.report.planning import basis as bases
from peftcli.report.planning import cost, pairs, spread
from peftcli.report.planning.basis import Basis
from peftcli.report.planning.spread import Spread
from peftcli.report.statistics import power
from peftcli.report.statistics.contrast import ALPHA

Named = tuple[Compared | Ranked, float]  # with the difference that is to be found
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
    named: list[Named] = [(each, point) for each in pairs.with_reference(view, basis.evidence)]
    plans = []
    for claim in claims:
        families, reasons = _listed(claim, basis.of_claim(claim))
        sought = [
            (family.needed, [(each, detect or each.margin or point) for each in family.compared]) for family in families
        ]
        plans.append(_of_claim(claim, sought, reasons, basis, timed))
        named += [each for _, compared in sought for each in compared]
    return SeedPlan(tuple(_of_pairs(named, basis, timed)), tuple(plans))


def _listed(claim: Claim, evidence: Evidence) -> tuple[list[Family], list[str]]:
    """Return the comparisons of a claim, and why some of its checks list none."""
    families, reasons = list[Family](), list[str]()
    for check in claim.checks:
        try:
            listing = registry.listing(check, evidence)
        except UserError as error:  # a recipe that is narrowed on the command line may lack what its claims name
            reasons.append(str(error))
            continue
        families += listing.families
        if not any(family.compared for family in listing.families):
            what = " of deviations" if getattr(check, "measure", "mean") == "std" else ""
            reasons.append(f"{check.kind}{what}: {listing.why_not or 'no number'}")
    return families, reasons


def _of_pairs(named: Iterable[Named], basis: Basis, timed: Mapping[str, float]) -> Iterator[PairPlan]:
    """Plan every pair by itself, at 0.05; one line a pair and difference, though several claims may name it."""
    before = set[tuple[int, int, float]]()
    for compared, difference in named:
        one, other = pairs.in_lead(compared)
        name = id(one), id(other), difference
        if one is None or other is None or name in before:
            continue
        before.add(name)
        pair, plan = _pair(compared, difference, basis, spread.of_pair)
        if plan is not None:
            hours = cost.hours_of_a_seed([one, other], basis, timed)
            pair = _with_seeds(pair, replace(plan, alpha=ALPHA, sides=1), hours)
        yield pair


def _of_claim(
    claim: Claim,
    families: Sequence[tuple[int, Sequence[Named]]],
    reasons: Sequence[str],
    basis: Basis,
    timed: Mapping[str, float],
) -> ClaimPlan:
    """Plan a claim: of each family so many comparisons, all at once, as its tested answer has it."""
    # Rows of a column are compared as samples that have nothing to do with each other.
    planned = [
        [_pair(*each, basis, spread.of_samples if isinstance(each[0], Ranked) else spread.of_pair) for each in compared]
        for _, compared in families
    ]
    joint = planning.joint(
        [(needed, [plan for _, plan in of]) for (needed, _), of in zip(families, planned, strict=True)]
    )
    hardest = None
    if joint.hardest is not None:
        pair, plan = planned[joint.hardest.family][joint.hardest.comparison]
        assert plan is not None
        # Whichever come out, all of them have to be trained.
        numbers = [n for _, compared in families for each, _ in compared for n in (*each.ones, *each.others)]
        hours = cost.hours_of_a_seed(numbers, basis, timed)
        hardest = _with_seeds(pair, plan, hours, joint.each, joint.hardest.times)
    total = sum(map(len, planned))
    missing = Counter(pair.reason for of in planned for pair, _ in of if pair.reason)
    without = [f"{count} of {total} comparisons: {reason}" for reason, count in missing.items()]
    return ClaimPlan(claim.claim, claim.where, total, joint.needed, joint.each, hardest, (*reasons, *without))


def _pair(
    compared: Compared | Ranked,
    difference: float,
    basis: Basis,
    vary: Callable[[Number, Number, Basis], Spread | str],
) -> tuple[PairPlan, Plan | None]:
    """Return the pair in the lead of a comparison, and what its seeds are planned for; None where they cannot be."""
    one, other = pairs.in_lead(compared)
    first, second = (number.label if number else "no number" for number in (one, other))
    pair = PairPlan(first, second, compared.column, difference, 0, None, None, "no number of its own")
    if one is None or other is None:
        return pair, None
    cells = [cell for number in (one, other) for cell in basis.cells_of(number)]
    varies = vary(one, other, basis)
    pair = replace(pair, planned=min(cell.planned for cell in cells), reason=varies if isinstance(varies, str) else "")
    if isinstance(varies, str):
        return pair, None
    collapsed = sum(len(cell.collapsed) for cell in cells) if varies.source != "printed" else 0
    plan = planning.plan(compared, difference, varies.deviation, collapsed=bool(collapsed))
    return replace(pair, spread=varies, collapsed=collapsed), plan


def _with_seeds(
    pair: PairPlan, plan: Plan, hours: float | None, chance: float = power.POWER, times: int = 1
) -> PairPlan:
    """Return a pair with its seeds, at both ends of the deviation's interval too; `hours` are those of one of them."""
    assert pair.spread is not None
    n, low, high = (
        planning.needed(replace(plan, deviation=each.deviation), chance, times)
        for each in (pair.spread, *pair.spread.ends())
    )
    return replace(pair, seeds=Seeds(n, low, high, None if hours is None or n is None else hours * n))
