"""Drawing the panels of a Pareto figure: points with bars on both axes, the frontier as stairs, names where there is room."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peftcli.report.figures import expenses, labels, style
from peftcli.report.figures.expenses import Against
from peftcli.report.figures.labels import Label
from peftcli.report.figures.trade_offs import TradeOff
from peftcli.report.statistics import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = 10  # strategies that colours and markers tell apart in several panels
NAMED = 20  # points of a panel that are all named; of more, those on the frontier and the extremes
SPANS = 10  # from its lowest to its highest a logarithmic axis has at least so large a factor
ON, OFF = "#0072b2", "#a8b6c4"  # on the frontier, and off it


@dataclass(frozen=True)
class Step:
    """A point on a frontier; `until` is the cost of the cheapest point shown to be better, None where there is none."""

    point: TradeOff
    until: float | None


@dataclass(frozen=True)
class Panel:
    """One panel: its title, the name of its vertical axis, its points, and the steps of its frontiers, cheapest first."""

    title: str
    axis: str
    points: tuple[TradeOff, ...]
    frontier: tuple[Step, ...]
    printed_frontier: tuple[Step, ...] = ()


def paint(against: Against, panels: Sequence[Panel], notes: Sequence[str]) -> "Figure":
    """Draw the panels. Strategies have names beside their points, or in several panels a look each and a legend."""
    columns = min(2, max(1, len(panels)))
    # Inches: one panel fills a page alone, two side by side.
    width, height = (6.6, 4.4) if columns == 1 else (3.6, 2.9)
    figure, axes = style.grid(max(1, -(-len(panels) // columns)), columns, width, height)
    flat = [ax for row in axes for ax in row]
    names = list(dict.fromkeys(each.label for panel in panels for each in panel.points))
    looks = {name: style.look(at) for at, name in enumerate(names)} if len(panels) > 1 and len(names) <= LOOKS else {}
    for number, ax in enumerate(flat):
        if number >= len(panels):
            ax.set_axis_off()
            continue
        _paint_panel(ax, against, panels[number], looks)
        if number + columns < len(panels):
            ax.set_xlabel("")
    # A legend takes its room from the panels: of three names a row, each a fifth of an inch.
    figure.set_figheight(figure.get_figheight() + 0.2 * (len(looks) // 3))
    _legend(figure, panels, looks)
    names_of = {} if looks else {ax: named(panel) for ax, panel in zip(flat, panels, strict=False)}
    without = style.listed("Without a name, for want of room", labels.place(figure, names_of))
    style.write_notes(figure, [*notes, *([without] if without else [])])
    return figure


def named(panel: Panel) -> list[Label]:
    """Return the names to write in a panel, the most important first: the frontier's, the extremes', then the others'."""
    drawn = [each for each in panel.points if each.score and each.cost]
    at = {each: (each.cost.mean, each.score.mean) for each in drawn if each.score and each.cost}
    first = [step.point for step in (*panel.frontier, *panel.printed_frontier)]
    for axis in (1, 0) if drawn else ():
        first += [max(drawn, key=lambda each: at[each][axis]), min(drawn, key=lambda each: at[each][axis])]
    others = drawn if len(drawn) <= NAMED else []
    chosen = dict.fromkeys([*first, *others])
    # A point without a name is still in the way of the others' names.
    rest = [each for each in drawn if each not in chosen]
    return [*(Label(*at[each], each.label) for each in chosen), *(Label(*at[each], "") for each in rest)]


def scale(ax: "Axes", against: Against, costs: Sequence[float]) -> None:
    """Scale the horizontal axis: logarithmic where costs span a factor of ten, with room for 0 where one costs nothing."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    positive = [cost for cost in costs if cost > 0]
    if positive and max(positive) >= SPANS * min(positive):
        low, high = min(positive), max(positive)
        subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
        if len(positive) < len(costs):
            # Linear from 0 to the lowest, as wide as two thirds of a power of ten.
            ax.set_xscale("symlog", linthresh=low, linscale=0.65)
            powers = [10.0**power for power in range(-3, 16) if low <= 10.0**power <= 10 * high]
            ax.set_xticks([0.0, *powers])
            ax.minorticks_off()
        else:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=subs))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.locator_params(axis="x", nbins=5)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: expenses.short(against, value)))


def _paint_panel(ax: "Axes", against: Against, panel: Panel, looks: dict[str, dict[str, Any]]) -> None:
    ax.set_title(style.escape(panel.title))
    ax.set_ylabel(panel.axis)
    ax.set_xlabel(expenses.MEASURES[against].axis)
    scale(ax, against, [each.cost.mean for each in panel.points if each.cost])
    on = [step.point for step in (*panel.frontier, *panel.printed_frontier)]
    for each in panel.points:
        _paint_point(ax, each, each in on, looks.get(each.label))
    if not panel.points:
        ax.tick_params(labelbottom=False, labelleft=False)
        ax.text(0.5, 0.5, "no point yet", transform=ax.transAxes, ha="center", va="center")
        return
    ax.margins(0.08, 0.1)
    ax.autoscale_view()
    ax.set_xlim(ax.get_xlim())  # stairs go on to the edge, and must not move it
    _paint_stairs(ax, panel.frontier, color=ON, linestyle="solid")
    _paint_stairs(ax, panel.printed_frontier, color="black", linestyle=style.LINES[2])


def _paint_stairs(ax: "Axes", steps: Sequence[Step], **look: Any) -> None:
    """Draw a frontier as stairs, which break off where something better is shown, but not what it is."""
    at = [(s.point.cost.mean, s.point.score.mean) for s in steps if s.point.cost and s.point.score]
    for number, ((x, y), step) in enumerate(zip(at, steps, strict=True)):
        end = ax.get_xlim()[1] if step.until is None else step.until
        corners = [(x, y), (end, y)]
        if number + 1 < len(at) and end == at[number + 1][0]:
            corners.append(at[number + 1])
        ax.plot(*zip(*corners, strict=True), linewidth=1.3, alpha=0.6, zorder=1.5, **look)


def _paint_point(ax: "Axes", each: TradeOff, is_on: bool, look: dict[str, Any] | None) -> None:
    """Draw a point with its bars; a printed one is a hollow diamond, one on the frontier has a heavy rim."""
    assert each.score is not None
    assert each.cost is not None
    x, y = each.cost.mean, each.score.mean
    colour = look["color"] if look else ON if is_on else OFF
    for bar, across in ((intervals.student(each.cost), True), (intervals.student(each.score), False)):
        if bar is not None:
            # A logarithmic axis has no place for 0 and below: the bar ends at a tenth of its point.
            ends = (max(bar[0], x / 10), bar[1]) if across else bar
            ax.plot(*((ends, (y, y)) if across else ((x, x), ends)), color=colour, linewidth=0.9, zorder=2)
    marker: dict[str, Any] = {"marker": "D" if each.is_printed else look["marker"] if look else "o", "color": colour}
    fill: dict[str, Any] = {"markerfacecolor": "white"} if each.is_printed else {}
    rim: dict[str, Any] = {
        "markeredgecolor": "black" if not each.is_printed else colour,
        "markeredgewidth": 1.6 if is_on else 0.5,
    }
    ax.plot(x, y, linestyle="", markersize=6.5 if is_on else 5.5, zorder=3, **marker, **fill, **rim)


def _legend(figure: "Figure", panels: Sequence[Panel], looks: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = {name: Line2D([], [], **look | {"linestyle": ""}) for name, look in looks.items()}
    if any(panel.frontier for panel in panels):
        rim: dict[str, Any] = {"marker": "o", "markersize": 6.5, "markeredgecolor": "black", "markeredgewidth": 1.6}
        colour = "white" if looks else ON
        handles["on the frontier"] = Line2D([], [], color=ON, markerfacecolor=colour, linewidth=1.3, **rim)
    if any(each.is_printed for panel in panels for each in panel.points):
        diamond: dict[str, Any] = {
            "marker": "D",
            "markerfacecolor": "white",
            "markeredgecolor": "black",
            "markeredgewidth": 0.8,
        }
        handles["printed in the paper"] = Line2D([], [], color="black", linestyle=style.LINES[2], **diamond)
    style.legend(figure, list(handles.values()), list(handles))
