"""Bars of each strategy on each task (freezing, Figures 1, 5 and 7)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftcli.report.figures import style
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import Bars
from peftcli.report.figures.study import Study
from peftcli.report.figures.words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARE = 0.82  # of the room between two tasks that bars fill
WIDEST = 36  # bars in a row


def collect(spec: Bars, study: Study) -> list[Point]:
    """Give the point of every bar: task by task, in the order of the strategies."""
    groups = study.groups(spec.tasks, spec.strategies, spec.learning_rate)
    return points(study, groups, leave_out_collapsed=spec.collapsed == "leave out")


def draw(spec: Bars, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    found = collect(spec, study)
    return paint(spec, found), " ".join(["Mean and standard deviation.", *map(describe, found), *notes(found)])


def paint(spec: Bars, found: Sequence[Point]) -> "Figure":
    """Draw the bars side by side, a deviation up and down, the paper's value a diamond; tasks in equal rows."""
    tasks = list(dict.fromkeys(point.group.column for point in found))
    labels = list(dict.fromkeys(point.group.label for point in found))
    rows = -(-len(tasks) * len(labels) // WIDEST)
    count = -(-len(tasks) // max(rows, 1))  # tasks in a row
    rows = -(-len(tasks) // count)
    figure, axes = style.grid(rows, 1, max(5.2, 0.26 * count * len(labels) + 1.6), 3.4 if rows == 1 else 2.5)
    limits = _limits(spec, found)
    for number, (ax,) in enumerate(axes):
        own = tasks[number * count : (number + 1) * count]
        _paint_row(ax, spec, [point for point in found if point.group.column in own], labels)
        ax.set(xlim=(-0.5, count - 0.5), ylim=limits, ylabel="score (mean ± std over seeds)")
    axes[-1][0].set_xlabel("task and its metric")
    _legend(figure, spec, found, labels)
    style.write_notes(figure, [*_start_note(spec, found), *notes(found)])
    return figure


def _paint_row(ax: "Axes", spec: Bars, found: Sequence[Point], labels: Sequence[str]) -> None:
    tasks = list(dict.fromkeys(point.group.column for point in found))
    width = SHARE / len(labels)
    ax.grid(False, axis="x")
    for at, column in enumerate(tasks):
        own = [point for point in found if point.group.column == column]
        for place, point in enumerate(own):
            _paint_bar(
                ax, point, at + (place - (len(own) - 1) / 2) * width, width, spec, labels.index(point.group.label)
            )
    ax.set_xticks(range(len(tasks)), [style.escape(f"{column.label}\n{short(column.metric)}") for column in tasks])


def _limits(spec: Bars, found: Sequence[Point]) -> tuple[float, float]:
    """Where the vertical axis starts and ends: with room for every deviation, printed value and count."""
    low = min([spec.start, *(p.mean - (p.std or 0) for p in found if p.mean is not None and p.mean < 0)])
    high = max([spec.start + 1, *(v for p in found if (v := _top(p, spec)) is not None)])
    return low, high + 0.06 * (high - low)


def _top(point: Point, spec: Bars) -> float | None:
    printed = point.printed if spec.published else None
    ours = None if point.mean is None else point.mean + (point.std or 0)
    return max((value for value in (printed, ours) if value is not None), default=None)


def _paint_bar(ax: "Axes", point: Point, at: float, width: float, spec: Bars, number: int) -> None:
    if point.mean is None:
        _write_at_foot(ax, at, "no value")
    else:
        ax.bar(at, point.mean - spec.start, width, bottom=spec.start, **style.fill(number))
        deviation = point.std if point.std is not None else 0.0
        ax.errorbar(at, point.mean, deviation, color="black", capsize=2.5, linewidth=1, clip_on=True)
        if point.n < point.planned:
            ax.annotate(
                f"{point.n}/{point.planned}", (at, point.mean + deviation), (0, 2), textcoords="offset points",
                ha="center", va="bottom", fontsize=7,
            )  # fmt: skip
        if point.mean < spec.start:
            _write_at_foot(ax, at, f"▼ {point.mean:.1f}")
    if spec.published and point.printed is not None:
        inside = "white" if point.copied else "black"
        at += 0.25 * width  # beside the deviation, not on it
        ax.plot(at, point.printed, "D", markersize=4.5, markerfacecolor=inside, markeredgecolor="black", zorder=6)
        ax.plot(at, point.printed, "D", markersize=6.5, markerfacecolor="white", markeredgecolor="white", zorder=5)


def _write_at_foot(ax: "Axes", at: float, words: str) -> None:
    ax.text(at, 0.02, words, rotation=90, ha="center", va="bottom", fontsize=7, transform=ax.get_xaxis_transform())


def _legend(figure: "Figure", spec: Bars, found: Sequence[Point], labels: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[object] = [Patch(**style.fill(number)) for number in range(len(labels))]
    names = list(labels)
    if spec.published and any(point.printed is not None for point in found):
        handles.append(Line2D([], [], marker="D", linestyle="", color="black"))
        names.append("printed in the paper")
    style.legend(figure, handles, names)


def _start_note(spec: Bars, found: Sequence[Point]) -> list[str]:
    if not spec.start:
        return []
    below = any(point.mean is not None and point.mean < spec.start for point in found)
    return [f"The axis starts at {spec.start:g}." + (" ▼ marks means below it." if below else "")]
