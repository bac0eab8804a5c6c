"""Curves of losses or metrics of every seed and their medians (freezing, Figures 2, 4, 6, 9 and 10).

A panel for each task, strategy and learning rate, every seed in colour, the median in black.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from peftcli.experiment.settings import LearningRate
from peftcli.report.figures import style
from peftcli.report.figures.spec import RATE, FigureSpec, draws
from peftcli.report.figures.study import Group, Study
from peftcli.report.figures.training_curves import WITH_PENALTY, Curve, loss_unit, medians, read
from peftcli.report.table import layout
from peftcli.report.table.selection import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING, VALIDATION = "training loss", "validation loss"
DENSE = 12_000  # points; above so many, an SVG holds the seeds' curves as a picture
WIDEST = 4  # panels side by side, where tasks and strategies do not span a grid
LOOKS = {TRAINING: ("#0072b2", "solid"), VALIDATION: ("#e69f00", style.LINES[1])}
OTHER = ("#0072b2", "solid")

Spot = tuple[int, int]  # row and column of a panel


@dataclass(frozen=True)
class Panel:
    """One group of seeds: its curves by quantity, how many runs there should be, and the unit of a loss."""

    row: str
    column: str
    rate: str
    quantities: dict[str, tuple[Curve, ...]]
    expected: int
    unit: str

    @property
    def title(self) -> str:
        """Task and strategy in words."""
        return f"{self.column}, {self.row}"


class Curves(FigureSpec):
    """Losses or the metric of every seed while training, their median in black."""

    kind: Literal["curves"] = Field(description="Curves of every seed while training.")
    show: Literal["loss", "training loss", "metric"] = Field(
        "loss", description="Both losses, the training loss, or the task's metric on the split that chooses."
    )
    learning_rate: Literal["best", "printed", "all"] | LearningRate = Field(
        "best", description=f"{RATE} `all`: every rate, with a panel each."
    )
    against: Literal["step", "epoch"] = Field("step", description="What the horizontal axis counts.")
    scale: Literal["linear", "log"] = Field("linear", description="The scale of the axis of losses.")
    largest: Annotated[float, Field(gt=0)] | None = Field(None, description="Where the axis of losses is cut.")


def panels(spec: Curves, study: Study) -> list[Panel]:
    """Collect the curves of each task, strategy and learning rate asked for."""
    collected = []
    for group in study.groups(spec.tasks, spec.strategies, spec.learning_rate):
        names = {"metric": [group.column.metric], "training loss": [TRAINING], "loss": [TRAINING, VALIDATION]}[
            spec.show
        ]
        runs = [_of_run(spec, study, group, outcome, names) for outcome in group.outcomes]
        quantities = {name: tuple(curves[name] for curves in runs if name in curves) for name in names}
        rate = f"learning rate {layout.rate_text(group.learning_rate)}"
        row = f"{group.label}, {rate}" if spec.learning_rate == "all" else group.label
        collected.append(Panel(row, group.column.label, rate, quantities, len(group.outcomes), loss_unit(group)))
    return collected


def notes(drawn: Sequence[Panel]) -> list[str]:
    """Say which runs have no curve, and which ended early."""
    first = [(panel, next(iter(panel.quantities.values()))) for panel in drawn]
    fewer = [f"{p.title}: {len(curves)} of {p.expected}" for p, curves in first if len(curves) < p.expected]
    early = [f"{p.title}: seed {curve.seed} {curve.ended}" for p, curves in first for curve in curves if curve.ended]
    mixed = [f"{p.title}: seed {curve.seed}" for p, curves in first for curve in curves if curve.with_penalty]
    said = {"Fewer curves than runs": fewer, "Ended early": early, WITH_PENALTY: mixed}
    return [note for head, items in said.items() if (note := style.listed(head, items))]


def _of_run(spec: Curves, study: Study, group: Group, outcome: Outcome, names: Sequence[str]) -> dict[str, Curve]:
    """Read one record for all quantities."""
    body = study.body(outcome)
    if body is None:
        return {}
    # The split evaluated while training: the one held out for choosing, else the column's own.
    split = "validation" if outcome.run.protocol.validation_share else group.column.split
    evaluations = [entry for entry in body["evaluations"] if entry["split"] == split]
    curves = {}
    for name in names:
        entries: Sequence[Mapping[str, Any]] = body["training"] if name == TRAINING else evaluations
        line = read(outcome, entries, "loss" if name in (TRAINING, VALIDATION) else name, spec.against)
        if line is not None:
            curves[name] = line
    return curves


@draws(Curves, "every seed while training", panels)
def draw(spec: Curves, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows: where each median starts and ends."""
    drawn = panels(spec, study)
    return paint(spec, drawn), " ".join(["Curves of every seed.", *map(_describe, drawn), *notes(drawn)])


def paint(spec: Curves, drawn: Sequence[Panel]) -> "Figure":
    """Draw the panels; those of one task share the ranges of their axes."""
    spots = arrange(drawn)
    rows, columns = (1 + max(spot[at] for spot in spots) for at in (0, 1))
    # Inches a panel: narrower the more stand side by side, so that the figure fits a page.
    figure, axes = style.grid(rows, columns, {1: 5.6, 2: 3.5}.get(columns, 2.6), 2.9 if columns == 1 else 2.1)
    dense = sum(len(c.steps) for p in drawn for curves in p.quantities.values() for c in curves) > DENSE
    grid: dict[Spot, Panel] = dict(zip(spots, drawn, strict=True))
    for row in range(rows):
        for column in range(columns):
            if (row, column) in grid:
                _scale(spec, axes[row][column])
                _paint_panel(axes[row][column], grid[row, column], dense)
            else:
                axes[row][column].set_axis_off()
    _limit(spec, [axes[row][column] for row, column in spots], drawn)
    _name_axes(spec, axes, grid)
    _legend(figure, drawn)
    style.write_notes(figure, notes(drawn))
    return figure


def _scale(spec: Curves, ax: "Axes") -> None:
    """Scale the axes, before anything is drawn: few ticks, since panels are narrow, in plain numbers."""
    if spec.scale == "log" and spec.show != "metric":
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.locator_params(axis="x", nbins=4)
    if spec.against == "step":
        ax.xaxis.set_major_formatter("{x:,.0f}")


def arrange(drawn: Sequence[Panel]) -> list[Spot]:
    """Place panels: a row a strategy and a column a task where there are several of both, else one after the other."""
    rows = list(dict.fromkeys(panel.row for panel in drawn))
    columns = list(dict.fromkeys(panel.column for panel in drawn))
    if len(rows) > 1 and len(columns) > 1:
        return [(rows.index(panel.row), columns.index(panel.column)) for panel in drawn]
    width = len(drawn) if len(drawn) <= WIDEST else 3
    return [divmod(number, width) for number in range(len(drawn))]


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
            # Many seeds are thin and pale, so that the median stands out.
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


def _limit(spec: Curves, axes: Sequence["Axes"], drawn: Sequence[Panel]) -> None:
    """Let the panels of a task, which are to be compared, share the ranges of their axes."""
    for task in dict.fromkeys(panel.column for panel in drawn):
        of_task = [ax for ax, p in zip(axes, drawn, strict=True) if p.column == task and any(p.quantities.values())]
        if not of_task:
            continue
        low, high = min(ax.get_ylim()[0] for ax in of_task), max(ax.get_ylim()[1] for ax in of_task)
        if spec.show != "metric":
            # Losses start at 0, their least; a metric's axis starts where its values do, or curves would lie flat.
            low, high = low if spec.scale == "log" else min(0.0, low), min(high, spec.largest or high)
        last = max(ax.get_xlim()[1] for ax in of_task)
        for ax in of_task:
            ax.set_ylim(low, high)
            ax.set_xlim(right=last)


def _name_axes(spec: Curves, axes: Sequence[Sequence["Axes"]], grid: Mapping[Spot, Panel]) -> None:
    """Name an axis once where neighbours have the same: below a column's last panel, left of a row's first."""
    across = "training step (updates)" if spec.against == "step" else "epoch"
    for (row, column), panel in grid.items():
        left = grid.get((row, column - 1))
        if left is None or _vertical(spec, left) != _vertical(spec, panel):
            axes[row][column].set_ylabel(_vertical(spec, panel))
        if (row + 1, column) not in grid:
            axes[row][column].set_xlabel(across)


def _vertical(spec: Curves, panel: Panel) -> str:
    return style.short(next(iter(panel.quantities))) if spec.show == "metric" else f"loss ({panel.unit})"


def _legend(figure: "Figure", drawn: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    handles: dict[str, Line2D] = {}
    names = dict.fromkeys(name for panel in drawn for name in panel.quantities)
    for name in names:
        colour, line = LOOKS.get(name, OTHER)
        # Several metrics look alike and stand in panels of their own, whose axes name them.
        metric = style.axis(name).partition(" (")[0] if len(names) == 1 else "metric"
        shown = name if name in LOOKS else metric
        handles[f"{shown}, each seed"] = Line2D([], [], color=colour, linewidth=1, linestyle=line)
        if any(len(panel.quantities.get(name, ())) > 1 for panel in drawn):
            handles[f"{shown}, median"] = Line2D([], [], color="black", linewidth=1.5, linestyle=line)
    if any(curve.ended for panel in drawn for curves in panel.quantities.values() for curve in curves):
        handles["ended early"] = Line2D([], [], color="#d55e00", marker="x", linestyle="", markeredgewidth=1.6)
    style.legend(figure, list(handles.values()), list(handles))
