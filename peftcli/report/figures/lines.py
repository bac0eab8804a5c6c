"""Panels of lines with error bars against a number: what low-data, sparsity and layer figures have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from peftcli.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CROWDED = 8  # lines in a panel
PRINTED = "printed in the paper"  # what the paper's lines are called together, where each has the look of one of ours


@dataclass(frozen=True)
class Mark:
    """One mark of a line: `y` (None: no value) with `spread` up and down, from `n` of `planned` runs."""

    x: float
    y: float | None
    spread: float | None = None
    n: int = 1
    planned: int = 1


@dataclass(frozen=True)
class Line:
    """One line. `look` is its number among the figure's looks; `role` says if it is ours, the paper's, or a level."""

    label: str
    marks: tuple[Mark, ...]
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
    """Draw panels, `columns` side by side; a mark with fewer runs is hollow, one without a value a cross below."""
    rows = max(1, -(-len(panels) // columns))
    # Inches: one panel alone may be wide; two side by side fill a page of 7, and those of many lines need more room.
    width, height = (5.6, 3.2) if columns == 1 else (3.5, 2.5)
    if max((len(panel.lines) for panel in panels), default=0) > CROWDED:
        width, height = max(width, 4.6), 3.7
    figure, axes = style.grid(rows, columns, width, height)
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
    # Lines with error bars, which would hide each other, stand around the true place; the paper's values have none, and
    # stand exactly on it.
    ours = [line for line in panel.lines if line.role == "ours"]
    apart = ours if any(mark.spread for line in ours for mark in line.marks) else []
    for line in panel.lines:
        if line.role == "level":
            _paint_level(ax, line)
        else:
            shift = apart.index(line) - (len(apart) - 1) / 2 if line in apart else 0.0
            _paint_line(ax, line, across, shift)
    ax.set_xticks([x for x, _ in across.ticks], [word for _, word in across.ticks])
    ax.minorticks_off()  # a logarithmic axis would name powers of ten between the ticks
    ax.set_ylabel(panel.axis)
    ax.set_xlabel(across.name)


def _paint_line(ax: "Axes", line: Line, across: Across, shift: float) -> None:
    """Draw one line, moved a little aside so that error bars of several lines do not hide each other."""
    look = _look(line)
    # A twentieth apart on a logarithmic axis; on a linear one (layers) 0.08 of the distance between two.
    moved = {mark: mark.x * 1.05**shift if across.scale == "log" else mark.x + 0.08 * shift for mark in line.marks}
    drawn = [mark for mark in line.marks if mark.y is not None]
    ax.plot([moved[p] for p in drawn], [p.y for p in drawn if p.y is not None], **look)
    for mark in drawn:
        if mark.spread:
            ax.errorbar(moved[mark], mark.y or 0.0, mark.spread, color=look["color"], capsize=2, linewidth=0.9)
        if mark.n < mark.planned:
            hollow = {**look, "linestyle": "", "markerfacecolor": "white", "zorder": 4}
            at = moved[mark], mark.y or 0.0
            ax.plot(*at, **hollow)
            around = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}
            count = f"{mark.n}/{mark.planned}"
            ax.annotate(count, at, (4, 5), textcoords="offset points", fontsize=6.5, bbox=around, zorder=3)
    # In the axis's own height (0 to 1), so that a cross stands at the bottom whatever the values are.
    gone = [moved[mark] for mark in line.marks if mark.y is None and line.role == "ours"]
    ax.plot(gone, [0.03] * len(gone), "x", color=look["color"], markeredgewidth=1.5, transform=ax.get_xaxis_transform())


def _look(line: Line) -> dict[str, Any]:
    look = style.look(line.look)
    if line.role == "level":
        return {"color": "black", "linewidth": 1, "linestyle": style.LINES[3]}
    if line.role == "printed":
        # A rim of the line's colour says which of ours it stands beside.
        rim = {"markerfacecolor": "white", "markeredgecolor": look["color"], "markeredgewidth": 1.0}
        return look | rim | {"marker": "D", "linewidth": 0.9, "linestyle": (0, (1, 1.5))}
    return look


def _paint_level(ax: "Axes", line: Line) -> None:
    """Draw a level line with a band for its deviation, since it has no one place for an error bar."""
    value = line.marks[0].y
    if value is not None:
        ax.axhline(value, color="black", linewidth=1, linestyle=style.LINES[3])
        spread = line.marks[0].spread
        if spread:
            ax.axhspan(value - spread, value + spread, color="black", alpha=0.08, linewidth=0)


def _legend(figure: "Figure", panels: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Line2D] = {}
    # Ours first: the paper's are what they are compared with.
    for line in sorted((line for panel in panels for line in panel.lines), key=lambda line: line.label == PRINTED):
        look = _look(line)
        if line.label == PRINTED:
            look |= {"color": "black", "markeredgecolor": "black"}
        handles.setdefault(line.label, Line2D([], [], **look))
    marks = [mark for panel in panels for line in panel.lines if line.role == "ours" for mark in line.marks]
    if any(mark.y is None for mark in marks):
        handles["no value"] = Line2D([], [], color="black", marker="x", linestyle="", markeredgewidth=1.5)
    if any(mark.y is not None and mark.n < mark.planned for mark in marks):
        handles["fewer runs than planned"] = Line2D(
            [], [], color="black", marker="o", markerfacecolor="white", linestyle=""
        )
    style.legend(figure, list(handles.values()), list(handles))
