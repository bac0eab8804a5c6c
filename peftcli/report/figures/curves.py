"""Drawing curves: a panel for each task, strategy and learning rate, every seed in colour, the median in black."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peftcli.report.figures import style
from peftcli.report.figures.spec import Curves
from peftcli.report.figures.study import Study
from peftcli.report.figures.training_curves import TRAINING, VALIDATION, Panel, medians, notes, panels
from peftcli.report.figures.words import axis, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DENSE = 12_000  # points; above so many, an SVG holds the seeds' curves as a picture
WIDEST = 4  # panels side by side, where tasks and strategies do not span a grid
LOOKS = {TRAINING: ("#0072b2", "solid"), VALIDATION: ("#e69f00", style.LINES[1])}
OTHER = ("#0072b2", "solid")

Spot = tuple[int, int]  # row and column of a panel


def draw(spec: Curves, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows: where each median starts and ends."""
    found = panels(spec, study)
    return paint(spec, found), " ".join(["Curves of every seed.", *map(_describe, found), *notes(found)])


def paint(spec: Curves, found: Sequence[Panel]) -> "Figure":
    """Draw the panels; those of one task share the ranges of their axes."""
    spots = arrange(found)
    rows, columns = (1 + max(spot[at] for spot in spots) for at in (0, 1))
    figure, axes = style.grid(rows, columns, {1: 5.6, 2: 3.5}.get(columns, 2.6), 2.9 if columns == 1 else 2.1)
    dense = sum(len(c.steps) for p in found for curves in p.quantities.values() for c in curves) > DENSE
    drawn: dict[Spot, Panel] = dict(zip(spots, found, strict=True))
    for row in range(rows):
        for column in range(columns):
            if (row, column) in drawn:
                _paint_panel(axes[row][column], drawn[row, column], dense)
            else:
                axes[row][column].set_axis_off()
    _limit(spec, [axes[row][column] for row, column in spots], found)
    _name_axes(spec, axes, drawn)
    _legend(figure, found)
    style.write_notes(figure, notes(found))
    return figure


def arrange(found: Sequence[Panel]) -> list[Spot]:
    """Place panels: a row a strategy and a column a task where there are several of both, else one after the other."""
    rows = list(dict.fromkeys(panel.row for panel in found))
    columns = list(dict.fromkeys(panel.column for panel in found))
    if len(rows) > 1 and len(columns) > 1:
        return [(rows.index(panel.row), columns.index(panel.column)) for panel in found]
    width = len(found) if len(found) <= WIDEST else 3
    return [divmod(number, width) for number in range(len(found))]


def _describe(panel: Panel) -> str:
    said = []
    for name, curves in panel.quantities.items():
        _, values = medians(curves)
        if values:
            said.append(f"median {name} from {values[0]:.3g} to {values[-1]:.3g}")
    return f"{panel.title}: {', '.join(said) or 'no run yet'}."


def _paint_panel(ax: "Axes", panel: Panel, dense: bool) -> None:
    title = panel.title if panel.rate in panel.row else f"{panel.title}\n{panel.rate}"
    ax.set_title(style.escape(title), fontsize=8)
    count = 0
    for name, curves in panel.quantities.items():
        colour, line = LOOKS.get(name, OTHER)
        count = max(count, len(curves))
        for curve in curves:
            width, alpha = (0.7, 0.6) if len(curves) > 1 else (1.2, 1.0)
            ax.plot(
                curve.steps, curve.values, color=colour, linestyle=line, linewidth=width, alpha=alpha, rasterized=dense
            )
            if curve.ended:
                ax.plot(curve.steps[-1:], curve.values[-1:], "x", color="#d55e00", markeredgewidth=1.6, zorder=5)
        if len(curves) > 1:
            ax.plot(*medians(curves), color="black", linewidth=1.5, linestyle=line, zorder=4)
    if not count:
        ax.tick_params(labelbottom=False, labelleft=False)
        ax.text(0.5, 0.5, "no run yet", transform=ax.transAxes, ha="center", va="center")
    elif count < panel.expected:
        words = f"{count} of {panel.expected} runs"
        height, side = (0.96, "top") if TRAINING in panel.quantities else (0.04, "bottom")  # losses fall, metrics rise
        ax.text(0.97, height, words, transform=ax.transAxes, ha="right", va=side, fontsize=8, zorder=6)


def _limit(spec: Curves, axes: Sequence["Axes"], found: Sequence[Panel]) -> None:
    for task in dict.fromkeys(panel.column for panel in found):
        own = [ax for ax, p in zip(axes, found, strict=True) if p.column == task and any(p.quantities.values())]
        if not own:
            continue
        low, high = min(ax.get_ylim()[0] for ax in own), max(ax.get_ylim()[1] for ax in own)
        if spec.show != "metric":
            low, high = min(0.0, low), min(high, spec.largest or high)
        last = max(ax.get_xlim()[1] for ax in own)
        for ax in own:
            ax.set_ylim(low, high)
            ax.set_xlim(right=last)


def _name_axes(spec: Curves, axes: Sequence[Sequence["Axes"]], drawn: Mapping[Spot, Panel]) -> None:
    """Name an axis once where neighbours have the same: below a column's last panel, left of a row's first."""
    across = "training step (updates)" if spec.against == "step" else "epoch"
    for (row, column), panel in drawn.items():
        left = drawn.get((row, column - 1))
        if left is None or _vertical(spec, left) != _vertical(spec, panel):
            axes[row][column].set_ylabel(_vertical(spec, panel))
        if (row + 1, column) not in drawn:
            axes[row][column].set_xlabel(across)


def _vertical(spec: Curves, panel: Panel) -> str:
    return short(next(iter(panel.quantities))) if spec.show == "metric" else f"loss ({panel.unit})"


def _legend(figure: "Figure", found: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Line2D] = {}
    for name in dict.fromkeys(name for panel in found for name in panel.quantities):
        colour, line = LOOKS.get(name, OTHER)
        shown = name if name in LOOKS else axis(name).partition(" (")[0]
        handles[f"{shown}, each seed"] = Line2D([], [], color=colour, linewidth=1, linestyle=line)
        if any(len(panel.quantities.get(name, ())) > 1 for panel in found):
            handles[f"{shown}, median"] = Line2D([], [], color="black", linewidth=1.5, linestyle=line)
    if any(curve.ended for panel in found for curves in panel.quantities.values() for curve in curves):
        handles["ended early"] = Line2D([], [], color="#d55e00", marker="x", linestyle="", markeredgewidth=1.6)
    style.legend(figure, list(handles.values()), list(handles))
