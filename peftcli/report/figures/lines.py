"""Panels of lines with error bars against a number: what low-data, sparsity and layer figures have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from peftcli.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class At:
    """One place of a line: `y` (None: no value) with `spread` up and down, from `n` of `planned` runs."""

    x: float
    y: float | None
    spread: float | None = None
    n: int = 1
    planned: int = 1


@dataclass(frozen=True)
class Line:
    """One line. `look` is its number among the figure's looks; `role` says if it is ours, the paper's, or a level."""

    label: str
    places: tuple[At, ...]
    look: int
    role: Literal["ours", "printed", "level"] = "ours"


@dataclass(frozen=True)
class Panel:
    """One panel: its title, the name of its vertical axis with the unit, and its lines."""

    title: str
    axis: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Across:
    """The horizontal axis: its name with the unit, where its ticks are and their words, and its scale."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    scale: Literal["linear", "log"] = "linear"


def paint(panels: Sequence[Panel], across: Across, columns: int, notes: Sequence[str]) -> "Figure":
    """Draw panels, `columns` side by side; a place with fewer runs is hollow, one without a value a cross below."""
    rows = max(1, -(-len(panels) // columns))
    figure, axes = style.grid(rows, columns, 5.6 if columns == 1 else 3.5, 3.2 if columns == 1 else 2.5)
    flat = [ax for row in axes for ax in row]
    for number, ax in enumerate(flat):
        if number >= len(panels):
            ax.set_axis_off()
            continue
        _paint_panel(ax, panels[number], across)
        if number + columns < len(panels):
            ax.set_xlabel("")
    _legend(figure, panels)
    style.write_notes(figure, notes)
    return figure


def _paint_panel(ax: "Axes", panel: Panel, across: Across) -> None:
    ax.set_title(style.escape(panel.title))
    ax.set_xscale(across.scale)
    ours = [line for line in panel.lines if line.role == "ours"]
    for line in panel.lines:
        if line.role == "level":
            _paint_level(ax, line)
        else:
            shift = ours.index(line) - (len(ours) - 1) / 2 if line in ours else 0.0
            _paint_line(ax, line, across, shift)
    ax.set_xticks([x for x, _ in across.ticks], [word for _, word in across.ticks])
    ax.minorticks_off()
    ax.set_ylabel(panel.axis)
    ax.set_xlabel(across.name)


def _paint_line(ax: "Axes", line: Line, across: Across, shift: float) -> None:
    """Draw one line, moved a little aside so that error bars of several lines do not hide each other."""
    look = style.look(line.look)
    if line.role == "printed":
        look |= {"marker": "D", "markerfacecolor": "white", "linewidth": 0.9, "linestyle": (0, (1, 1.5))}
    moved = {place: _aside(place.x, across, shift) for place in line.places}
    known = [place for place in line.places if place.y is not None]
    ax.plot([moved[p] for p in known], [p.y for p in known if p.y is not None], **look)
    for place in known:
        if place.spread:
            ax.errorbar(moved[place], place.y or 0.0, place.spread, color=look["color"], capsize=2, linewidth=0.9)
        if place.n < place.planned:
            hollow = {**look, "linestyle": "", "markerfacecolor": "white", "zorder": 4}
            at = moved[place], place.y or 0.0
            ax.plot(*at, **hollow)
            around = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}
            count = f"{place.n}/{place.planned}"
            ax.annotate(count, at, (4, 5), textcoords="offset points", fontsize=6.5, bbox=around, zorder=3)
    gone = [moved[place] for place in line.places if place.y is None and line.role == "ours"]
    ax.plot(gone, [0.03] * len(gone), "x", color=look["color"], markeredgewidth=1.5, transform=ax.get_xaxis_transform())


def _paint_level(ax: "Axes", line: Line) -> None:
    value = line.places[0].y
    if value is not None:
        ax.axhline(value, color="black", linewidth=1, linestyle=style.LINES[3])
        spread = line.places[0].spread
        if spread:
            ax.axhspan(value - spread, value + spread, color="black", alpha=0.08, linewidth=0)


def _aside(x: float, across: Across, shift: float) -> float:
    return x * 1.05**shift if across.scale == "log" else x + 0.08 * shift


def _legend(figure: "Figure", panels: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Line2D] = {}
    for line in (line for panel in panels for line in panel.lines):
        look = style.look(line.look)
        if line.role == "level":
            look = {"color": "black", "linewidth": 1, "linestyle": style.LINES[3]}
        if line.role == "printed":
            look |= {"marker": "D", "markerfacecolor": "white", "linewidth": 0.9, "linestyle": (0, (1, 1.5))}
        handles.setdefault(line.label, Line2D([], [], **look))
    places = [place for panel in panels for line in panel.lines if line.role == "ours" for place in line.places]
    if any(place.y is None for place in places):
        handles["no value"] = Line2D([], [], color="black", marker="x", linestyle="", markeredgewidth=1.5)
    if any(place.y is not None and place.n < place.planned for place in places):
        handles["fewer runs than planned"] = Line2D(
            [], [], color="black", marker="o", markerfacecolor="white", linestyle=""
        )
    style.legend(figure, list(handles.values()), list(handles))
