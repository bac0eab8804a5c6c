"""Figures in the page: one for which there is no room is named instead; ids are apart, the width is the drawing's."""

from peftcli.report.figures import Drawing
from peftcli.report.formats.html import pictures


def test_a_figure_without_room_is_named_instead() -> None:
    small = b'<svg width="10pt" height="10pt" viewBox="0 0 10 10" version="1.1"><path d="M 0 0"/></svg>'
    large = small.replace(b"M 0 0", b"M 0 0 " * 500_000)
    drawings = [Drawing(name, name, "", "", svg, b"") for name, svg in (("a", small), ("b", large), ("c", small))]
    page = pictures.render(drawings)
    assert len(page) < 3_000_000
    assert "b is left out here" in page
    assert page.count("<svg") == 2


def test_ids_carry_the_figure_s_name_and_what_only_a_file_needs_is_gone() -> None:
    svg = (
        b'<?xml version="1.0"?>\n<svg width="72pt" height="36pt" viewBox="0 0 72 36" version="1.1">\n'
        b'<metadata>by whom</metadata><defs><style type="text/css">*{}</style></defs><!-- note -->\n'
        b'<path id="m1" d="M 0 0"/>\n <use xlink:href="#m1" clip-path="url(#c2)"/>\n</svg>\n'
    )
    page = pictures.render([Drawing("one", "A <title>", "A caption.", "What it shows.", svg, b"")])
    inner = '<defs></defs> <path id="one-m1" d="M 0 0"/> <use xlink:href="#one-m1" clip-path="url(#one-c2)"/> '
    # 72 points are an inch, which has 96 pixels of CSS.
    assert (
        'viewBox="0 0 72 36" role="img" aria-labelledby="one-title" style="--width: 96px">'
        f'<title id="one-title">A &lt;title&gt;</title> {inner}</svg>'
    ) in page
    assert page.startswith('<figure id="figure-one">')
    assert "<figcaption><strong>A &lt;title&gt;</strong> A caption.</figcaption>" in page
    assert "<summary>In words</summary><p>What it shows.</p>" in page
