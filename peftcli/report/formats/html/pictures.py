"""Figures inside a page: the SVG itself, its ids made unique, named and described for those who cannot see it."""

import re
from collections.abc import Sequence

from peftcli.report.figures import Drawing
from peftcli.report.formats.html.elements import Markup, escape, join, scrolling, tag

ROOM = 2_600_000  # bytes that all figures together may take, so that a page stays below 3 MB
_OUTER = re.compile(r'<svg[^>]*? width="([0-9.]+)pt" height="([0-9.]+)pt" viewBox="([^"]+)"[^>]*>', re.DOTALL)


def render(drawings: Sequence[Drawing]) -> Markup:
    """Write the figures in their order; one for which there is no room left is named instead."""
    parts, used = [], 0
    for drawing in drawings:
        picture = _picture(drawing)
        used += len(picture.encode())  # UTF-8, as the page is written
        shown: str = picture
        if used > ROOM:
            used -= len(picture.encode())
            words = f"{drawing.name} is left out here: with it the page would be larger than 3 MB."
            shown = tag("p", words, class_="empty")
        else:
            shown = scrolling(drawing.title, picture, class_="scroll card")
        caption = tag("figcaption", tag("strong", drawing.title), *([" ", drawing.caption] if drawing.caption else []))
        in_words = tag("details", tag("summary", "In words"), tag("p", drawing.description))
        parts.append(tag("figure", shown, caption, in_words, id=f"figure-{drawing.name}"))
    return join(parts)


def _picture(drawing: Drawing) -> Markup:
    """Cut the drawing out of its file: no prolog, metadata or style of its own, ids that no other figure has."""
    text = drawing.svg.decode()
    outer = _OUTER.search(text)
    assert outer is not None, "an SVG of matplotlib"
    inner = text[outer.end() : text.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>|<style\b.*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    # Two figures of one page may not share an id: each gets its figure's name in front, where it is named and used.
    inner = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{drawing.name}-", inner)
    # Line breaks of the SVG mean nothing, and make the page larger.
    inner = re.sub(r"\s*\n\s*", " ", inner)
    width, _, box = outer.groups()
    named = f"{drawing.name}-title"
    title = f'<title id="{named}">{escape(drawing.title)}</title>'
    # The width that the picture was drawn for: 4 pixels of CSS are 3 points. The style sheet lets it shrink.
    pixels = round(float(width) * 4 / 3)
    opened = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}" role="img" aria-labelledby="{named}" '
        f'style="--width: {pixels}px">'
    )
    return Markup(f"{opened}{title}{inner}</svg>")
