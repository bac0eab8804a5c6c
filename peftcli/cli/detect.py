"""`peftcli plan --detect`: how many seeds find a stated difference, pair by pair and claim by claim, and what they cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peftcli.experiment.plan import Planned
    from peftcli.experiment.recipe import Recipe
    from peftcli.report.planning.seeds import ClaimPlan, PairPlan

MARGIN = "margin"  # instead of a number: each claim's own
NUMBERS = f"{'seeds':>8}{'at both ends':>20}{'hours':>10}"
NAMED = 3  # pairs named of those without a number
SOURCES = {
    "printed": "printed: as two independent samples",
    "records": "records: ours, as two independent samples",
    "paired": "paired: ours, of the differences seed by seed",
    "both": "both: one side ours, the other printed",
}


def difference(text: str) -> float | None:
    """Read what `--detect` was given: a difference in the table's unit, or None for each claim's own. Raises UserError."""
    if text == MARGIN:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"--detect {text!r} is no difference: a number above 0 in the table's unit (1), or {MARGIN}")
    return value


def describe(
    recipe: Recipe, planned: Sequence[Planned], output: Path, detect: float | None, timed: Mapping[str, float]
) -> dict[str, Any]:
    """Return the plan of seeds as plain values. `timed`: seconds a run by what its cohort's runs share. Raises UserError.

    `seeds`, and with it `seeds_low` and `seeds_high` at both ends of the deviation's interval, are None beyond `most`.
    """
    from peftcli.models import catalogue
    from peftcli.report.planning import seeds
    from peftcli.report.statistics import power
    from peftcli.report.statistics.contrast import ALPHA
    from peftcli.report.table import spec

    view, plan = spec.read(recipe), seeds.plan(recipe, planned, output, detect, timed)
    paper = view.model if view.published and catalogue.pin(recipe.model)[0] != view.model else None
    return {
        "difference": detect,
        "unit": "points" if view.scale == "percent" else "fraction",
        "power": power.POWER,
        "alpha": ALPHA,
        "most": power.MOST,
        "printed_of_model": paper,
        "pairs": [_pair(pair) for pair in plan.pairs],
        "claims": [_claim(claim) for claim in plan.claims],
    }


def _pair(plan: PairPlan) -> dict[str, Any]:
    spread, seeds = plan.spread, plan.seeds
    return {
        "one": plan.one,
        "other": plan.other,
        "column": plan.column,
        "difference": plan.difference,
        "deviation": spread and spread.shown,
        "deviations": list(spread.deviation) if spread and isinstance(spread.deviation, tuple) else None,
        "degrees_of_freedom": spread and spread.freedom,
        "from": spread and spread.source,
        "seeds": seeds and seeds.n,
        "seeds_low": seeds and seeds.low,
        "seeds_high": seeds and seeds.high,
        "hours": seeds and seeds.hours,
        "planned_seeds": plan.planned,
        "collapsed": plan.collapsed,
        "reason": plan.reason,
    }


def _claim(plan: ClaimPlan) -> dict[str, Any]:
    return {
        "claim": plan.claim,
        "where": plan.where,
        "comparisons": plan.comparisons,
        "needed": plan.needed,
        "power_each": plan.each,
        "hardest": plan.hardest and _pair(plan.hardest),
        "not_planned": list(plan.reasons),
    }


def text(described: dict[str, Any]) -> list[str]:
    """Word what `describe` returned: a line a pair, then two a claim, under what they are planned for."""
    pairs, claims = described["pairs"], described["claims"]
    if not pairs and not claims:
        return ["seeds: the recipe's table names no reference and it makes no claims, so nothing is compared"]
    by_margin = described["difference"] is None
    what = "each claim's margin (1 point without one)" if by_margin else f"a difference of {_amount(described)}"
    power, alpha = 100 * described["power"], described["alpha"]
    lines = [f"seeds that find {what} in {power:g} % of studies, by a two-sided t test at {alpha:g}"]
    planned = [pair for pair in pairs if not pair["reason"]]
    if planned:
        lines += ["", f"{'pair':<40}{'on':<16}{'deviation':>10} {'from':<9}{NUMBERS}"]
        lines += [_line(pair, by_margin, described["most"]) for pair in planned]
    for reason in dict.fromkeys(pair["reason"] for pair in pairs if pair["reason"]):
        lines += ["", _without(reason, pairs)]
    if planned:
        lines += ["", *_reading(planned, described["printed_of_model"])]
    if claims:
        lines += ["", f"{'claim, all of its comparisons together':<76}{NUMBERS}"]
        lines += [line for claim in claims for line in _of_claim(claim, described["most"])]
    return lines


def _amount(described: dict[str, Any]) -> str:
    amount = described["difference"]
    if described["unit"] == "points":
        return f"{amount:g} point{'s' * (amount != 1)}"
    return f"{amount:g} (of 1: a point is 0.01)"


def _line(pair: dict[str, Any], by_margin: bool, most: int) -> str:
    name = f"{pair['one']}, {pair['other']}" + (f" ({pair['difference']:g})" if by_margin else "")
    return f"{name[:39]:<40}{pair['column'][:15]:<16}{pair['deviation']:>10.2g} {pair['from']:<9}{_numbers(pair, most)}"


def _numbers(pair: dict[str, Any], most: int) -> str:
    """The seeds, those at both ends of the deviation's interval, and the hours."""
    keys = ("seeds", "seeds_low", "seeds_high")
    n, low, high = (f"> {most:,}" if pair[key] is None else f"{pair[key]:,}" for key in keys)
    hours = "-" if pair["hours"] is None else f"{pair['hours']:,.{1 if pair['hours'] >= 1 else 2}f}"
    return f"{n:>8}{f'{low} to {high}':>20}{hours:>10}"


def _without(reason: str, pairs: list[dict[str, Any]]) -> str:
    """Say which pairs have no number for a reason."""
    names = [f"{pair['one']}, {pair['other']} on {pair['column']}" for pair in pairs if pair["reason"] == reason]
    return f"not planned, {reason}: {_some(names)}"


def _some(names: list[str]) -> str:
    """Name a few of many: the JSON has them all."""
    return "; ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _reading(pairs: list[dict[str, Any]], model: str | None) -> list[str]:
    """How the table is read, and how far the recipe's own seeds go."""
    enough = sum(pair["seeds"] is not None and pair["seeds"] <= pair["planned_seeds"] for pair in pairs)
    fewest, most = (function(pair["planned_seeds"] for pair in pairs) for function in (min, max))
    seeds = (
        f"{most} seeds are" if fewest == most > 1 else f"{fewest} to {most} seeds are" if most > 1 else "one seed is"
    )
    lines = [f"the recipe's own {seeds} enough for {enough} of {len(pairs)} pair{'s' * (len(pairs) != 1)}"]
    sources = {pair["from"] for pair in pairs}
    words = "; ".join(word for source, word in SOURCES.items() if source in sources)
    lines.append(f"deviation: one seed's, of two samples the root of their mean square; {words}")
    lines.append("seeds: of each side, and to the right at both ends of the deviation's 95 % interval")
    if any(pair["hours"] is not None for pair in pairs):
        lines.append("hours: of so many seeds on both sides, at every learning rate, as recorded or timed")
    if any(pair["hours"] is None and pair["seeds"] is not None for pair in pairs):
        lines.append("hours: a dash where no run of a side left its seconds; --calibrate times what is missing")
    if any(pair["collapsed"] for pair in pairs):
        names = [f"{pair['one']}, {pair['other']} on {pair['column']}" for pair in pairs if pair["collapsed"]]
        lines.append(f"collapsed runs are among the deviations, which they widen: {_some(names)}")
    if model:
        lines.append(f"the printed deviations are those of {model}, not of the recipe's model")
    return lines


def _of_claim(claim: dict[str, Any], most: int) -> list[str]:
    """A claim's lines: the claim, its hardest comparison with the seeds it takes, and what of it is not planned."""
    hardest, total, lines = claim["hardest"], claim["comparisons"], [claim["claim"]]
    if hardest is not None:
        of = f"{claim['needed']} of {total}" if claim["needed"] < total else f"{total}"
        each = "1 comparison" if total == 1 else f"{of} comparisons at {100 * claim['power_each']:.1f} % each; hardest"
        words = f"    {each}: {hardest['one']}, {hardest['other']} on {hardest['column']}"
        lines.append(f"{words:<76}{_numbers(hardest, most)}")  # not cut: it may name what no pair above does
    return [*lines, *(f"    not planned: {reason}" for reason in claim["not_planned"])]
