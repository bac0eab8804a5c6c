"""Curves of losses or metrics of every seed, the median in black (freezing, Figures 2, 4, 6, 9 and 10)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from peftcli.figures import style
from peftcli.figures.groups import Group, Outcome, Study
from peftcli.figures.spec import Curves
from peftcli.figures.words import axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DENSE = 12_000  # points; above so many, an SVG holds the seeds' curves as a picture
COLUMNS = 4
TRAINING, VALIDATION = "training loss", "validation loss"
COLOUR = {TRAINING: "#0072b2", VALIDATION: "#e69f00"}


@dataclass(frozen=True)
class Curve:
    """One run's values of one quantity, at `steps` (updates or epochs), and how the run ended ("" when as planned)."""

    seed: int
    steps: tuple[float, ...]
    values: tuple[float, ...]
    ended: str = ""


@dataclass(frozen=True)
class Panel:
    """One group of seeds: its curves by quantity, and how many runs there should be."""

    title: str
    row: str
    column: str
    quantities: dict[str, tuple[Curve, ...]]
    expected: int


def panels(spec: Curves, study: Study) -> list[Panel]:
    """Collect the curves of each task, strategy and learning rate asked for."""
    found = []
    for group in study.chosen(spec.learning_rate):
        quantities = {name: _curves(spec, group, name) for name in _quantities(spec, group)}
        row = study.strategy_label(group)
        if spec.learning_rate == "all":
            row += f", {group.learning_rate:g}"
        title = f"{study.task_label(group)}, {row}"
        if spec.learning_rate != "all":
            title += f" (learning rate {group.learning_rate:g})"
        found.append(Panel(title, row, study.task_label(group), quantities, len(group.outcomes)))
    return found


def medians(curves: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """The median over runs at each step, while at least half of the runs are left: (steps, values).

    A run counts at the steps it was measured at. Runs stopped early leave; a median of the few that remain would show
    who stayed rather than how training went.
    """
    at: dict[float, list[float]] = {}
    for curve in curves:
        for step, value in zip(curve.steps, curve.values, strict=True):
            at.setdefault(step, []).append(value)
    steps = sorted(step for step, values in at.items() if 2 * len(values) >= len(curves))
    return steps, [median(at[step]) for step in steps]


def notes(found: Sequence[Panel]) -> list[str]:
    """Say which runs are missing or ended early."""
    said = []
    for panel in found:
        curves = next(iter(panel.quantities.values()))
        if len(curves) < panel.expected:
            said.append(f"{panel.title}: {len(curves)} of {panel.expected} runs have a curve.")
        said += [f"{panel.title}: seed {curve.seed} {curve.ended}." for curve in curves if curve.ended]
    return said


def paint(spec: Curves, study: Study) -> "Figure":
    """Draw a panel for each group; panels of one task share their vertical axis."""
    found = panels(spec, study)
    rows, columns = _arrange(found)
    count = max(len(columns), 1) if len(rows) > 1 and len(columns) > 1 else min(COLUMNS, max(len(found), 1))
    height = -(-len(found) // count) if found else 1
    figure, axes = style.grid(height, count, _width(count), 2.0)
    flat = [ax for row in axes for ax in row]
    dense = sum(len(c.steps) for p in found for curves in p.quantities.values() for c in curves) > DENSE
    for ax, panel in zip(flat, found, strict=False):
        _paint_panel(ax, panel, dense)
    for ax in flat[len(found) :]:
        ax.set_axis_off()
    _limit(spec, flat, found)
    _name_axes(spec, flat[: len(found)], found, study, count)
    _legend(figure, flat, found)
    style.write_notes(figure, notes(found))
    return figure


def _quantities(spec: Curves, group: Group) -> list[str]:
    if spec.show == "metric":
        return [group.metric]
    return [TRAINING] if spec.show == "training loss" else [TRAINING, VALIDATION]


def _curves(spec: Curves, group: Group, quantity: str) -> tuple[Curve, ...]:
    return tuple(
        curve for outcome in group.outcomes if (curve := _curve(spec, group, outcome, quantity)) is not None
    )


def _curve(spec: Curves, group: Group, outcome: Outcome, quantity: str) -> Curve | None:
    if outcome.record is None:
        return None
    body = outcome.record.body
    entries = body["training"] if quantity == TRAINING else [e for e in body["evaluations"] if e["split"] == group.chooser]
    key = "loss" if quantity in (TRAINING, VALIDATION) else quantity
    scale = 100 if key == quantity else 1
    points = [(float(e[spec.against]), scale * float(e[key])) for e in entries if _finite(e.get(key))]
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    ended = "" if outcome.state == "completed" else f"{outcome.state} after {entries[-1]['step']} steps"
    return Curve(outcome.run.seed, steps, values, ended)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _arrange(found: Sequence[Panel]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(p.row for p in found)), list(dict.fromkeys(p.column for p in found))


def _width(columns: int) -> float:
    return {1: 5.6, 2: 3.4}.get(columns, 2.6)


def _paint_panel(ax: "Axes", panel: Panel, dense: bool) -> None:
    ax.set_title(style.escape(panel.title))
    for number, (name, curves) in enumerate(panel.quantities.items()):
        for curve in curves:
            ax.plot(
                curve.steps, curve.values, color=COLOUR.get(name, "#0072b2"), linewidth=0.7, alpha=0.55,
                linestyle=style.LINES[number], rasterized=dense,
            )  # fmt: skip
            if curve.ended:
                ax.plot(curve.steps[-1:], curve.values[-1:], marker="x", color="#d55e00", markeredgewidth=1.6, zorder=5)
        ax.plot(*medians(curves), color="black", linewidth=1.6, linestyle=style.LINES[number], zorder=4)
    if not any(panel.quantities.values()):
        ax.text(0.5, 0.5, "no run yet", transform=ax.transAxes, ha="center", va="center")
    elif len(next(iter(panel.quantities.values()))) < panel.expected:
        count = len(next(iter(panel.quantities.values())))
        ax.text(0.98, 0.97, f"{count} of {panel.expected} runs", transform=ax.transAxes, ha="right", va="top", fontsize=8)


def _limit(spec: Curves, axes: Sequence["Axes"], found: Sequence[Panel]) -> None:
    """Give the panels of one task the same vertical range."""
    for task in dict.fromkeys(panel.column for panel in found):
        own = [ax for ax, panel in zip(axes, found, strict=False) if panel.column == task and any(panel.quantities.values())]
        if not own:
            continue
        low, high = min(ax.get_ylim()[0] for ax in own), max(ax.get_ylim()[1] for ax in own)
        if spec.show != "metric":
            low, high = min(0.0, low), min(high, spec.largest or high)
        for ax in own:
            ax.set_ylim(low, high)


def _name_axes(spec: Curves, axes: Sequence["Axes"], found: Sequence[Panel], study: Study, columns: int) -> None:
    across = "training step (updates)" if spec.against == "step" else "epoch"
    for number, ax in enumerate(axes):
        quantity = axis(next(iter(found[number].quantities))) if spec.show == "metric" else "loss (nats)"
        left = number % columns == 0 or found[number].column != found[number - 1].column
        ax.set_ylabel(quantity if left else "")
        ax.set_xlabel(across if number + columns >= len(axes) else "")


def _legend(figure: "Figure", axes: Sequence["Axes"], found: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys(name for panel in found for name in panel.quantities))
    handles, labels = [], []
    for name in names:
        line = style.LINES[list(COLOUR).index(name) if name in COLOUR else 0]
        handles += [Line2D([], [], color=COLOUR.get(name, "#0072b2"), linewidth=1, linestyle=line)]
        handles += [Line2D([], [], color="black", linewidth=1.6, linestyle=line)]
        shown = name if name in COLOUR else axis(name)
        labels += [f"{shown}, each seed", f"{shown}, median"]
    if any(curve.ended for panel in found for curves in panel.quantities.values() for curve in curves):
        handles.append(Line2D([], [], color="#d55e00", marker="x", linestyle="", markeredgewidth=1.6))
        labels.append("ended early")
    style.legend(figure, handles, labels)
