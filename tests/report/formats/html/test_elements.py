"""Elements: text and attributes are escaped, markup is left as it is."""

from peftcli.report.formats.html import elements


def test_elements_escape_text_and_attributes_but_not_markup() -> None:
    inner = elements.tag("b", "a & b")
    assert elements.tag("p", inner, "<i>", class_='"x"', open=None) == (
        '<p class="&quot;x&quot;"><b>a &amp; b</b>&lt;i&gt;</p>'
    )
    assert elements.preformatted("a <b>\n  c").count("\n") == 1
