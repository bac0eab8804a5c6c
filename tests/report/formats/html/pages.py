"""Whole pages for the tests of the HTML report: a printed recipe some of whose runs are missing or ended badly."""

from pathlib import Path

from peftcli.experiment import recipe as recipes
from peftcli.experiment.plan import Planned
from peftcli.report import figures, summary
from peftcli.report.formats import html

# Figures 9 and 10 of Table I have 36 panels each, which take longer to draw than the rest of the page.
FEWER_PANELS = {"tasks": ["cola", "rte"], "strategies": ["full", "bitfit"]}


def page_of(recipe: recipes.Recipe, output: Path) -> str:
    return html.render(summary.summarise(recipe, output, True), figures.draw_all(figures.study(recipe, output)))


def printed_recipe(every_panel: bool = False) -> recipes.Recipe:
    """Freezing's Table I with few seeds, where a paper's numbers, figures and claims come together."""
    recipe = recipes.load(recipes.find("freezing/table1"), {"seeds": 2})
    fewer = {"figure9": FEWER_PANELS, "figure10": FEWER_PANELS} if not every_panel else {}
    return recipe.model_copy(update={"figures": [entry | fewer.get(entry["name"], {}) for entry in recipe.figures]})


def odd(planned: Planned) -> str:
    """Some runs are missing, failed, diverged or collapsed."""
    at = (planned.strategy, planned.task, planned.run.seed)
    return {
        (1, 1, 0): "diverged",
        (2, 0, 1): "failed",
        (3, 2, 0): "missing",
        (3, 2, 1): "missing",
        (4, 0, 0): "collapsed",
    }.get(at, "completed")
