"""A report as one HTML file that needs nothing else, network or script: to be read on a phone, in the dark, by ear."""

from collections.abc import Sequence
from pathlib import Path

from peftcli.report.figures import Drawing
from peftcli.report.formats.html import claims, differences, pictures, tables
from peftcli.report.formats.html import sections as facts
from peftcli.report.formats.html.elements import Markup, join, section, tag
from peftcli.report.summary import Report

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # nothing is fetched, nothing runs


def render(report: Report, drawings: Sequence[Drawing]) -> str:
    """Write the page, under 3 MB: table, differences, figures, claims, what is missing, cost, recipe, environment.

    The same report gives the same bytes. Raises UserError where the recipe's file cannot be read.
    """
    parts = {
        "Table": ("table", tables.render(report.table)),
        "Differences": ("differences", differences.render(report)),
        "Figures": ("figures", pictures.render(drawings)),
        "Claims": ("claims", claims.render(report.claims) if report.claims else Markup("")),
        "What is missing": ("missing", facts.missing(report)),
        "Cost": ("cost", facts.cost(report)),
        "Recipe": ("recipe", facts.recipe(report)),
        "Environment": ("environment", facts.environment(report)),
    }
    shown = {name: part for name, part in parts.items() if part[1]}
    links = [tag("li", tag("a", name, href=f"#{identity}")) for name, (identity, _) in shown.items()]
    title = report.table.title
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", _lead(report), class_="lead")),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", *(section(identity, name, content) for name, (identity, content) in shown.items())),
        tag("footer", tag("p", "Made by peftcli from the records of the runs alone.")),
    )
    return f"<!doctype html>\n{tag('html', _head(title), body, lang='en')}\n"


def _lead(report: Report) -> str:
    total = sum(report.counts.values())
    done = report.counts.get("completed", 0)
    return f"{report.recipe.model}: {done} of {total} planned runs completed."


def _head(title: str) -> Markup:
    css = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    policy = Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">')
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        policy,
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", join([Markup(css)])),
    )
