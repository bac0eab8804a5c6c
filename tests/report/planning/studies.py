"""What the tests of planning share: the basis of a recipe, and numbers of it by strategy and column."""

from pathlib import Path

from peftcli.experiment import plan
from peftcli.experiment.recipe import Recipe
from peftcli.report.claims.evidence import Number
from peftcli.report.planning import basis, seeds
from peftcli.report.planning.basis import Basis
from peftcli.report.planning.seeds import SeedPlan

NOWHERE = Path("nowhere")
ROOT = Path(__file__).parents[3]


def basis_of(recipe: Recipe, output: Path = NOWHERE, beside: tuple[str, ...] = ()) -> Basis:
    return basis.gather_all(recipe, plan.expand(recipe), beside, output)


def number(made: Basis, strategy: str, column: str) -> Number:
    """The first number of a strategy in a column."""
    return next(n for n in made.evidence.numbers if (n.strategy, n.column) == (strategy, column))


def planned(recipe: Recipe, output: Path = NOWHERE, detect: float | None = 1.0) -> SeedPlan:
    return seeds.plan(recipe, plan.expand(recipe), output, detect, {})
