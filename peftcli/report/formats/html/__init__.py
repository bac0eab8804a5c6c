"""A report as one HTML file that needs nothing else, network or script: to be read on a phone, in the dark, by ear.

The frame is `page.html` with `report.css`; tables, figures and the other parts are made in Python.
"""

from collections.abc import Sequence

from peftcli.report.figures import Drawing
from peftcli.report.formats import lines
from peftcli.report.formats.html import claims, frame, over_tasks, pictures, sections, tables
from peftcli.report.formats.html.frame import Section
from peftcli.report.summary import Report


def render(report: Report, drawings: Sequence[Drawing], index: str | None = None) -> str:
    """Write the page, under 3 MB: table, differences, over tasks, figures, claims, what is missing, cost, recipe, environment.

    The same report gives the same bytes. `index` is the address of a page over several reports, which this one then links
    to. Raises UserError where the recipe's file cannot be read.
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
    return frame.write(report.table.title, lead, [section for section in parts if section.content], index)
