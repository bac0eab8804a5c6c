"""What a report says, as data: the table, the verdicts on claims, the state of the runs, what they cost. No torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from peftcli.experiment import departures, plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.departures import Departures
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import canonical
from peftcli.report import costs
from peftcli.report.claims import gathering, judging
from peftcli.report.claims import spec as claim_spec
from peftcli.report.claims.gathering import Gathered
from peftcli.report.claims.tested import answering
from peftcli.report.claims.verdicts import Judged
from peftcli.report.costs import Cost, RunCost
from peftcli.report.table import build, notes, selection
from peftcli.report.table.over_examples import Grid
from peftcli.report.table.selection import Outcome
from peftcli.report.table.table import Table

# In the order in which a report names them: what is there first.
STATES = ("completed", "diverged", "failed", "damaged", "missing")


@dataclass(frozen=True)
class Report:
    """All that a report says.

    `counts`: the recipe's runs by state. `troubles`: the failed, diverged and damaged ones, each with its reason.
    `imported`: where runs come from that were not trained here -> how many.
    `environments`: what the records were made with, each distinct one once. `against`: whether published numbers stand
    beside ours. `output`: the results folder. `otherwise`: how the runs differ from those of the recipe as shipped.
    `costs`: what a run of each strategy took, and `costs_by_task` on each task. `over_examples`: the differences from the
    reference over seeds and examples together, None where they were not asked for.
    """

    recipe: Recipe
    table: Table
    claims: tuple[Judged, ...]
    counts: dict[str, int]
    troubles: tuple[str, ...]
    cost: Cost
    environments: tuple[dict[str, Any], ...]
    against: bool
    output: Path = Path("results")
    imported: Mapping[str, int] = field(default_factory=dict)
    otherwise: Departures = departures.NONE
    over_examples: Grid | None = None
    costs: tuple[RunCost, ...] = ()
    costs_by_task: tuple[RunCost, ...] = ()


def summarise(recipe: Recipe, output: Path, against: bool) -> Report:
    """Read a recipe's records and put its report together. Raises UserError for a recipe that does not fit itself."""
    return of_outcomes(recipe, selection.outcomes(plan.expand(recipe), output), output, against)


def of_outcomes(recipe: Recipe, outcomes: Sequence[Outcome], output: Path, against: bool) -> Report:
    """Put a report together from what became of the recipe's runs; `output` is where other recipes' records lie."""
    # Imported runs have their own seeds, not those that the recipe plans.
    planned = None if any(outcome.source for outcome in outcomes) else [outcome.planned for outcome in outcomes]
    otherwise = departures.departures(recipe, planned)
    table = build.tabulate(recipe, outcomes)
    table = replace(table, notes=(*notes.otherwise(table, otherwise), *table.notes))
    environments = [dict(outcome.environment) for outcome in outcomes if outcome.environment]
    return Report(
        recipe=recipe,
        table=table,
        claims=tuple(_judge(recipe, table, output, otherwise)),
        counts={state: sum(outcome.state == state for outcome in outcomes) for state in STATES},
        troubles=tuple(f"{o.run.describe()}: {o.state}: {o.error}" for o in outcomes if o.error),
        cost=costs.total(outcomes),
        costs=costs.by_strategy(recipe, outcomes),
        costs_by_task=costs.by_task(recipe, outcomes),
        # Each distinct one once, in the order in which they come: dictionaries are equal as canonical JSON is.
        environments=tuple({canonical(environment): environment for environment in environments}.values()),
        against=against,
        output=output,
        imported=Counter(outcome.source for outcome in outcomes if outcome.source),
        otherwise=otherwise,
    )


def _judge(recipe: Recipe, table: Table, output: Path, otherwise: Departures) -> list[Judged]:
    """Judge the recipe's claims; those over several tables read the other recipes' records too, each recipe once."""
    # Beside the recipe's own table, in the order in which a claim names them.
    others: dict[str, tuple[Table, Departures]] = {}
    numbers: dict[tuple[str, ...], Gathered] = {}  # by the other tables that a claim is over
    judged = []
    for claim in claim_spec.read(recipe):
        for name in claim.tables:
            if name not in others:
                beside = recipes.load(recipe.path.parent / name)
                planned = plan.expand(beside)
                outcomes = selection.outcomes(planned, output)
                others[name] = build.tabulate(beside, outcomes), departures.departures(beside, planned)
        tables, apart = zip((table, otherwise), *(others[name] for name in claim.tables), strict=True)
        over = tuple(claim.tables)
        if over not in numbers:
            numbers[over] = gathering.gather_all(tables, output, recipe.path.parent)
        judged.append(judging.judge(recipe, claim, numbers[over], apart))
    return answering.adjusted(judged)
