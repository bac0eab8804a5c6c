"""Names beside points, none over another or over a point: each where there is room near its point, or not at all."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from peftcli.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 7.5  # points, as notes
AROUND = 4.5  # points: half of what a point takes, with its rim
APART = 1.5  # points between two names
NEAR = 10  # points; a name further from its point has a line to it
DISTANCES = (6, 9, 14, 20, 28, 38, 50, 66, 86)  # points, from a point to its name
# Degrees, the preferred first: below the stairs of a frontier, which go up to a point and then to the right, or above.
DIRECTIONS = (330, 150, 30, 210, 0, 180, 60, 240, 300, 120, 90, 270, 345, 165, 15, 195)
ASIDE = 0.3  # a direction this far from straight up or across puts a corner of the name at its end, not a side

Spot = tuple[float, float]


@dataclass(frozen=True)
class Label:
    """A point, in the data's units, and its name; "" for one that is not named, but must not be covered either."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Box") -> bool:
        """Say whether two rectangles share anything."""
        apart = self.right < other.left or other.right < self.left or self.top < other.bottom or other.top < self.bottom
        return not apart

    def holds(self, other: "Box") -> bool:
        """Say whether another rectangle lies inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.bottom <= other.bottom
            and other.top <= self.top
        )

    def nearest(self, spot: Spot) -> Spot:
        """Return the place in it that is nearest to a spot."""
        return min(max(spot[0], self.left), self.right), min(max(spot[1], self.bottom), self.top)


@dataclass(frozen=True)
class Page:
    """What a panel has room for: its rectangle, where its points are, and the names and lines written so far."""

    inside: Box
    points: tuple[Spot, ...]
    names: list[Box] = field(default_factory=list)

    def is_free(self, name: Box, spot: Spot) -> bool:
        """Say whether a name can stand there for the point at a spot, with a straight line to it."""
        if not self.inside.holds(name) or any(name.meets(other) for other in self.names):
            return False
        if any(name.meets(_around(point)) for point in self.points):
            return False
        # The line to the point, outside of the point itself, meets neither another name nor another point.
        end = name.nearest(spot)
        steps = max(1, int(math.dist(spot, end)))
        way = [
            (spot[0] + (end[0] - spot[0]) * at / steps, spot[1] + (end[1] - spot[1]) * at / steps)
            for at in range(int(AROUND) + 1, steps + 1)
        ]
        return not any(
            any(math.dist(step, point) < AROUND for point in self.points if point != spot)
            or any(other.holds(Box(*step, *step)) for other in self.names)
            for step in way
        )


def _around(spot: Spot) -> Box:
    return Box(spot[0] - AROUND, spot[1] - AROUND, spot[0] + AROUND, spot[1] + AROUND)


def place(figure: "Figure", labels: "Mapping[Axes, Sequence[Label]]") -> list[str]:
    """Write each panel's names, the first ones first; return those for which there is no room."""
    # Where the points will be: names stay inside their panel, and so do not change the layout.
    figure.draw_without_rendering()
    return [text for ax, of_panel in labels.items() if of_panel for text in _place(ax, of_panel, figure.dpi / 72)]


def size(text: str) -> tuple[float, float]:
    """Return the width and height of a name in points: as in a PNG, whose letters are a little wider than an SVG's."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    dots = style.RESOLUTION["png"]
    width, height, _ = RendererAgg(1, 1, dots).get_text_width_height_descent(text, FontProperties(size=SIZE), False)
    return width * 72 / dots, height * 72 / dots


def _place(ax: "Axes", labels: Sequence[Label], pixels: float) -> list[str]:
    spots = [(float(x) / pixels, float(y) / pixels) for x, y in ax.transData.transform([(e.x, e.y) for e in labels])]
    page = Page(Box(*(float(edge) / pixels for edge in ax.bbox.extents)), tuple(spots))
    without = []
    for label, spot in zip(labels, spots, strict=True):
        if not label.text:
            continue
        text = style.escape(label.text)
        for name in candidates(spot, *size(text)):
            if page.is_free(name, spot):
                _write(ax, label, text, name, spot)
                page.names.append(Box(name.left - APART, name.bottom - APART, name.right + APART, name.top + APART))
                break
        else:
            without.append(label.text)
    return without


def candidates(spot: Spot, width: float, height: float) -> Iterator[Box]:
    """Yield the rectangles for a name of this size around its point, the preferred first: near ones before far ones."""
    for distance in DISTANCES:
        for direction in DIRECTIONS:
            right, up = math.cos(math.radians(direction)), math.sin(math.radians(direction))
            # The part of the name left of, and below, where the direction ends: none, half or all of it.
            before = 0.0 if right > ASIDE else 1.0 if right < -ASIDE else 0.5
            below = 0.0 if up > ASIDE else 1.0 if up < -ASIDE else 0.5
            left, bottom = spot[0] + distance * right - before * width, spot[1] + distance * up - below * height
            yield Box(left, bottom, left + width, bottom + height)


def _write(ax: "Axes", label: Label, text: str, name: Box, spot: Spot) -> None:
    offset = (name.left + name.right) / 2 - spot[0], (name.bottom + name.top) / 2 - spot[1]
    far = math.dist(name.nearest(spot), spot) > NEAR
    line: dict[str, Any] = {
        "arrowstyle": "-",
        "color": "#777777",
        "linewidth": 0.5,
        "shrinkA": 0,
        "shrinkB": AROUND - 1,
    }
    around: dict[str, Any] = {
        "facecolor": "white",
        "edgecolor": "none",
        "alpha": 0.75,
        "pad": 0.3,
    }  # over bars it stays readable
    written = ax.annotate(
        text, (label.x, label.y), offset, textcoords="offset points", ha="center", va="center", fontsize=SIZE,
        zorder=5, bbox=around, arrowprops=line if far else None,
    )  # fmt: skip
    written.set_in_layout(False)
