"""Figures from records alone, as SVG and PNG. One file for each kind; matplotlib is imported when one is drawn.

A figure is an entry of a recipe's `figures:` (`spec`), drawn from a `study`: the recipe, what became of its runs, and
the folder of their records. A new kind is a file with its options and its drawing, and an import below.
"""

import re
from dataclasses import dataclass

# Messages list the kinds in this order.
# isort: off
from peftcli.report.figures import (
    bars,
    curves,
    low_data,
    mask_change,
    ranks,
    sparsity,
    layers,
    density,
    pareto,
    critical_difference,
)

# isort: on
from peftcli.report.figures import style
from peftcli.report.figures.spec import KINDS, FigureSpec, parse, parse_all
from peftcli.report.figures.study import Study, study

__all__ = ["Drawing", "FigureSpec", "Study", "draw", "draw_all", "parse", "parse_all", "study"]
__all__ += ["bars", "curves", "density", "layers", "low_data", "mask_change", "pareto", "ranks", "sparsity"]
__all__ += ["critical_difference"]


@dataclass(frozen=True)
class Drawing:
    """A figure drawn: its file's name without ending, title, caption, what it shows in words, and its bytes."""

    name: str
    title: str
    caption: str
    description: str
    svg: bytes
    png: bytes


def draw(spec: FigureSpec, study: Study) -> Drawing:
    """Draw one figure. The same records give the same bytes.

    Raises UserError for a task, strategy or learning rate that the recipe does not have, and for weights that cannot be
    read; runs that are missing are shown as missing.
    """
    kind = KINDS[spec.kind]
    with style.settings():
        figure, description = kind.draw(spec, study)
        encoded = style.encode(figure)
    title = spec.title or default_title(spec.name, kind.title)
    return Drawing(spec.name, title, spec.caption, description, encoded["svg"], encoded["png"])


def default_title(name: str, what: str) -> str:
    """Word a title for a figure without one: `figure9` becomes "Figure 9: …", and what its kind shows."""
    words = re.sub(r"[-_]", " ", re.sub(r"(?<=[a-z])(?=[0-9])", " ", name))
    return f"{words[0].upper()}{words[1:]}: {what}"


def draw_all(study: Study) -> list[Drawing]:
    """Draw every figure that a recipe lists. Raises UserError."""
    where = f"recipe {study.recipe.path.name}: figures"
    return [draw(spec, study) for spec in parse_all(study.recipe.figures, where)]
