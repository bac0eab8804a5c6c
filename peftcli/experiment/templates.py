"""Templates that join two texts to one: `{first}` and `{second}`, once each, in whatever stands around them."""

from dataclasses import dataclass
from string import Formatter

FIELDS = ("first", "second")
# What joins two texts where a decoder's run names no template. It never changes: the ids of such runs do not hold it.
OF_DECODERS = "{first}\n{second}"

Range = tuple[int, int]  # of characters, half-open


@dataclass(frozen=True)
class Template:
    """What stands in front of, between and behind two texts, and whether the second one comes first."""

    front: str
    middle: str
    end: str
    second_comes_first: bool

    def join(self, first: str, second: str) -> str:
        """Return the two texts joined to one."""
        former, latter = (second, first) if self.second_comes_first else (first, second)
        return f"{self.front}{former}{self.middle}{latter}{self.end}"

    def ranges(self, first: str, second: str) -> tuple[Range, Range]:
        """Return which characters of the joined text are of the first text, and which of the second."""
        former, latter = (second, first) if self.second_comes_first else (first, second)
        start, again = len(self.front), len(self.front) + len(former) + len(self.middle)
        of_former, of_latter = (start, start + len(former)), (again, again + len(latter))
        return (of_latter, of_former) if self.second_comes_first else (of_former, of_latter)


def parse(text: str) -> Template:
    """Read a template; `{{` and `}}` are braces. Raises ValueError where one of the two texts is missing or stands twice."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"is no template: {error} ({{{{ and }}}} are braces of the text)") from None
    names = [name for _, name, _, _ in parts if name is not None]
    for name in names:
        if name not in FIELDS:
            raise ValueError(f"has {{{name}}}: a template has {{first}} and {{second}}, once each, and no other")
    for name in FIELDS:
        if names.count(name) != 1:
            times = "no" if name not in names else f"{names.count(name)} times"
            raise ValueError(f"has {times} {{{name}}}: a template has {{first}} and {{second}}, once each")
    if any(layout or conversion for _, _, layout, conversion in parts):
        raise ValueError("says how to write a text: a template has {first} and {second} as they are")
    # In YAML, \n is a line end in double quotes alone; elsewhere a model would read a backslash and an n.
    if r"\n" in text:
        raise ValueError(r'has a backslash and an n: in double quotes, "{first}\n{second}", they are a line end')
    around = [""]
    for literal, field, _, _ in parts:
        around[-1] += literal
        if field is not None:
            around.append("")
    front, middle, end = around
    return Template(front, middle, end, second_comes_first=names[0] == "second")
