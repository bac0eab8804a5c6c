"""HTML elements as functions: text is escaped wherever it enters, so that nothing in a record can become markup."""

import html
from collections.abc import Iterable, Sequence

from peftcli.report.formats.text_table import clean


class Markup(str):
    """HTML that is safe to write as it is; any other text is escaped first."""

    __slots__ = ()

    def __html__(self) -> str:
        """Tell templates that escape by themselves to leave it as it is."""
        return str(self)


def tag(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """Make an element. In attributes' names a trailing underscore goes, others become hyphens; None leaves one out."""
    # `class_` and `open_` are words of Python, `aria_label` has a hyphen in HTML.
    values = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    opened = "".join([f"<{name}", *(f' {key}="{escape(str(value))}"' for key, value in values.items()), ">"])
    return Markup(f"{opened}{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Put children one after the other, escaping what is not markup."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def escape(text: str) -> str:
    """Make text show as it is: no element, attribute, control character or line break comes of it."""
    return html.escape(clean(text), quote=True)


def bullets(items: Sequence[str], **attributes: str | None) -> Markup:
    """Make a list; nothing where there is no item."""
    return tag("ul", *(tag("li", item) for item in items), **attributes) if items else Markup("")


def preformatted(text: str) -> Markup:
    """Show text with its line breaks, in a region of its own that scrolls."""
    # Line by line, since escaping takes line breaks out.
    lines = "\n".join(escape(line) for line in text.removesuffix("\n").split("\n"))
    return tag("pre", tag("code", Markup(lines)), tabindex=0)


def scrolling(label: str, *children: str, class_: str = "scroll") -> Markup:
    """Let something wide scroll by itself, with the keyboard too, so that the page never does."""
    return tag("div", *children, class_=class_, role="region", tabindex=0, aria_label=label)


def fold(summary: str, *children: str, open_: bool = False) -> Markup:
    """Make a part that opens when asked."""
    return tag("details", tag("summary", summary), *children, open="open" if open_ else None)


def pairs(rows: Iterable[tuple[str, str]]) -> Markup:
    """Make a list of names and values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows))
