"""The frame of every page: the way up where there is one, the way from part to part where there are several."""

from peftcli.report.formats.html import elements, frame
from peftcli.report.formats.html.frame import Section
from tests.outline import Outline

PARTS = [Section(name, name.title(), elements.tag("p", f"About {name}.")) for name in ("one", "two")]


def test_parts_are_linked_to_and_the_page_over_all() -> None:
    outline = Outline(frame.write("A & B", "lead", PARTS, "index.html"))
    assert [attributes["href"] for attributes in outline.all("a")] == ["index.html", "#one", "#two"]
    assert "All reports A & B lead One Two One About one. Two About two." in outline.words
    assert not Outline(frame.write("A", "lead", PARTS[:1])).all("a")  # nowhere to go


def test_the_frame_escapes_what_nobody_escaped() -> None:
    """Whoever forgets to escape a word for the page has it shown, not run."""
    page = frame._template().render(
        title="<i>a</i>", lead="b", css=elements.Markup("a > b {}"), sections=[], index='"><i>'
    )
    assert "<title>&lt;i&gt;a&lt;/i&gt;</title><style>a > b {}</style>" in page
    assert '<a href="&#34;&gt;&lt;i&gt;">' in page
