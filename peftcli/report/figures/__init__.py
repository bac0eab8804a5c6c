"""Figures from records alone, as SVG and PNG. One file for each kind; matplotlib is imported when one is drawn.

A figure is an entry of a recipe's `figures:` (`spec`), drawn from a `study`: the recipe, what became of its runs, and
the folder of their records.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peftcli.report.figures import (
    bars,
    curves,
    density,
    layers,
    low_data,
    mask_change,
    rank_scatter,
    sparsity,
    style,
)
from peftcli.report.figures.spec import Spec, parse, parse_all
from peftcli.report.figures.study import Study, study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "Spec", "Study", "draw", "draw_all", "parse", "parse_all", "study"]

PAINTERS: dict[str, Callable[[Any, Study], "tuple[Figure, str]"]] = {
    "bars": bars.draw,
    "curves": curves.draw,
    "low_data": low_data.draw,
    "mask_change": mask_change.draw,
    "rank_scatter": rank_scatter.draw,
    "sparsity": sparsity.draw,
    "layers": layers.draw,
    "density": density.draw,
}


_TITLES = {
    "bars": "each strategy on each task",
    "curves": "every seed while training",
    "low_data": "fewer training examples",
    "mask_change": "the training loss as the mask changes",
    "rank_scatter": "stability against performance",
    "sparsity": "mean and deviation against the share trained",
    "layers": "one layer trained alone",
    "density": "densities of weights",
}


@dataclass(frozen=True)
class Drawing:
    """A figure drawn: its file's name without ending, title, caption, what it shows in words, and its bytes."""

    name: str
    title: str
    caption: str
    description: str
    svg: bytes
    png: bytes


def draw(spec: Spec, study: Study) -> Drawing:
    """Draw one figure. The same records give the same bytes.

    Raises UserError for a task, strategy or learning rate that the recipe does not have, and for weights that cannot be
    read; runs that are missing are shown as missing.
    """
    with style.settings():
        figure, description = PAINTERS[spec.kind](spec, study)
        encoded = style.encode(figure)
    return Drawing(spec.name, spec.title or _title(spec), spec.caption, description, encoded["svg"], encoded["png"])


def _title(spec: Spec) -> str:
    """Word a title for a figure without one: `figure9` becomes "Figure 9: …"."""
    words = re.sub(r"[-_]", " ", re.sub(r"(?<=[a-z])(?=[0-9])", " ", spec.name))
    return f"{words[0].upper()}{words[1:]}: {_TITLES[spec.kind]}"


def draw_all(study: Study) -> list[Drawing]:
    """Draw every figure that a recipe lists. Raises UserError."""
    return [draw(spec, study) for spec in parse_all(study.recipe.figures)]
