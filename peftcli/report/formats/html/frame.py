"""The frame that every page stands in, `page.html` with `report.css`: head, headings, and the way from part to part."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.report.formats.html.elements import Markup, escape

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Section:
    """A part of a page: its name in links, its heading, and what it holds ("" where there is nothing to show)."""

    identity: str
    heading: str
    content: Markup


def write(title: str, lead: str, sections: Sequence[Section], index: str | None = None) -> str:
    """Return a whole page; `index` is the address of the page over all reports, None where there is none to link to."""
    page = _template().render(
        # Escaped here, as everywhere in the page; what would be forgotten, the template escapes itself.
        title=Markup(escape(title)),
        lead=Markup(escape(lead)),
        css=Markup((Path(__file__).parent / "report.css").read_text(encoding="utf-8")),
        sections=sections,
        index=index,
    )
    return f"<!doctype html>\n{page}\n"


@cache
def _template() -> "Template":
    """The frame, its line breaks and indentation taken out: between elements they would show as spaces."""
    from jinja2 import Environment, StrictUndefined

    source = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    frame = Environment(autoescape=True, undefined=StrictUndefined)
    return frame.from_string("".join(line.strip() for line in source.splitlines()))
