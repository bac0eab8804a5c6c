"""Loading a recipe for a command: found, read, with `--set` applied, and checked to the last key. No torch."""

from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe

# With one of these set the command is about a part of the recipe: claims and figures may name what it leaves out.
NARROWING = ("tasks", "strategies", "learning_rates")


def load(name: str, pairs: list[str]) -> Recipe:
    """Load the recipe of this file or name with these `--set` pairs.

    Its table, figures and claims are checked too, which only a report reads: a slip in them is better told before the
    runs are trained than after. Raises UserError.
    """
    from peftcli.report import checking

    overrides = recipes.parse_set(pairs)
    loaded = recipes.load(recipes.find(name), overrides)
    checking.check(loaded, names=not set(NARROWING) & set(overrides))
    return loaded
