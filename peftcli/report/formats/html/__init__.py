"""A report as one HTML file that needs nothing else, network or script: to be read on a phone, in the dark, by ear.

The frame is `page.html` with `report.css`; tables, figures and the other parts are made in Python.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.report.figures import Drawing
from peftcli.report.formats import lines
from peftcli.report.formats.html import claims, over_tasks, pictures, sections, tables
from peftcli.report.formats.html.elements import Markup, escape
from peftcli.report.summary import Report

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Section:
    """A part of the page: its name in links, its heading, and what it holds ("" where there is nothing to show)."""

    identity: str
    heading: str
    content: Markup


def render(report: Report, drawings: Sequence[Drawing]) -> str:
    """Write the page, under 3 MB: table, differences, over tasks, figures, claims, what is missing, cost, recipe, environment.

    The same report gives the same bytes. Raises UserError where the recipe's file cannot be read.
    """
    parts = [
        Section("table", "Table", tables.render(report.table)),
        Section("differences", "Differences", sections.differences(report)),
        Section("over-tasks", "Over tasks", over_tasks.render(report.table)),
        Section("figures", "Figures", pictures.render(drawings)),
        Section("claims", "Claims", claims.render(report.claims)),
        Section("missing", "What is missing", sections.missing(report)),
        Section("cost", "Cost", sections.cost(report)),
        Section("recipe", "Recipe", sections.recipe(report)),
        Section("environment", "Environment", sections.environment(report)),
    ]
    completed, total = report.counts.get("completed", 0), sum(report.counts.values())
    lead = f"{report.recipe.model}: {completed} of {total} planned runs completed."
    if said := lines.imported(report):
        lead = f"{said} {lead}"
    page = _template().render(
        # Escaped here, as everywhere in the page; what would be forgotten, the template escapes itself.
        title=Markup(escape(report.table.title)),
        lead=Markup(escape(lead)),
        css=Markup((Path(__file__).parent / "report.css").read_text(encoding="utf-8")),
        sections=[section for section in parts if section.content],
    )
    return f"<!doctype html>\n{page}\n"


@cache
def _template() -> "Template":
    """The frame, its line breaks and indentation taken out: between elements they would show as spaces."""
    from jinja2 import Environment, StrictUndefined

    source = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    frame = Environment(autoescape=True, undefined=StrictUndefined)
    return frame.from_string("".join(line.strip() for line in source.splitlines()))
