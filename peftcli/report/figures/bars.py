"""Bars of each strategy on each task (freezing, Figures 1, 5 and 7)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from peftcli.report.figures import style
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import PUBLISHED, RATE, BestOrRate, FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.table import layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARE = 0.82  # of the room between two tasks that bars fill
WIDEST = 36  # bars in a row: more could not be told apart on a page


class Bars(FigureSpec):
    """Mean and standard deviation of each strategy on each task, as bars."""

    kind: Literal["bars"] = Field(description="Bars of each strategy on each task.")
    learning_rate: BestOrRate = Field("best", description=RATE)
    start: Annotated[float, Field(ge=0, lt=100)] = Field(0.0, description="Where the axis starts, in percent.")
    collapsed: Literal["keep", "leave out"] = Field(
        "keep", description="Whether runs that give every example the same answer are left out, which the figure says."
    )
    not_learned: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        {},
        description="By task or column, how far above a constant answer a run must score to have learned, in points; one "
        "that does not is left out, which the figure says.",
    )
    published: bool = Field(False, description=PUBLISHED)


def collect(spec: Bars, study: Study) -> list[Point]:
    """Return the point of every bar: task by task, in the order of the strategies."""
    groups = study.groups(spec.tasks, spec.strategies, spec.learning_rate)
    return points(study, groups, spec.collapsed == "leave out", spec.not_learned)


@draws(Bars, "each strategy on each task", collect)
def draw(spec: Bars, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = collect(spec, study)
    said = [*_rates_note(drawn), *notes(drawn)]
    return paint(spec, drawn), " ".join(["Mean and standard deviation.", *map(describe, drawn), *said])


def paint(spec: Bars, drawn: Sequence[Point]) -> "Figure":
    """Draw the bars side by side, a deviation up and down, the paper's value a diamond; tasks in equal rows."""
    tasks = list(dict.fromkeys(point.group.column for point in drawn))
    labels = list(dict.fromkeys(point.group.label for point in drawn))
    # Equal rows: a last row of one task would be drawn as wide as the others.
    rows = -(-len(tasks) * len(labels) // WIDEST)
    count = -(-len(tasks) // max(rows, 1))  # tasks in a row
    rows = -(-len(tasks) // count)
    # Inches: 0.26 a bar leaves room for its count, 1.6 for the axis; 5.2 hold the legend and the notes.
    figure, axes = style.grid(rows, 1, max(5.2, 0.26 * count * len(labels) + 1.6), 3.4 if rows == 1 else 2.5)
    limits = _limits(spec, drawn)
    for number, (ax,) in enumerate(axes):
        in_row = tasks[number * count : (number + 1) * count]
        _paint_row(ax, spec, [point for point in drawn if point.group.column in in_row], labels)
        ax.set(xlim=(-0.5, count - 0.5), ylim=limits, ylabel="score (mean ± std over seeds)")
    axes[-1][0].set_xlabel("task and its metric")
    _legend(figure, spec, drawn, labels)
    style.write_notes(figure, [*_start_note(spec, drawn), *_rates_note(drawn), *notes(drawn)])
    return figure


def _paint_row(ax: "Axes", spec: Bars, drawn: Sequence[Point], labels: Sequence[str]) -> None:
    tasks = list(dict.fromkeys(point.group.column for point in drawn))
    width = SHARE / len(labels)
    ax.grid(False, axis="x")  # ticks stand at tasks, which are not numbers
    for at, column in enumerate(tasks):
        in_task = [point for point in drawn if point.group.column == column]
        for number, point in enumerate(in_task):
            x = at + (number - (len(in_task) - 1) / 2) * width  # the bars of a task stand around its tick
            _paint_bar(ax, point, x, width, spec, labels.index(point.group.label))
    ax.set_xticks(
        range(len(tasks)), [style.escape(f"{column.label}\n{style.short(column.metric)}") for column in tasks]
    )


def _limits(spec: Bars, drawn: Sequence[Point]) -> tuple[float, float]:
    """Where the vertical axis starts and ends: with room for every deviation, printed value and count."""
    # Correlations can be negative, and a bar must start on the axis.
    low = min([spec.start, *(p.mean - (p.std or 0) for p in drawn if p.mean is not None and p.mean < 0)])
    tops = [p.mean + (p.std or 0) for p in drawn if p.mean is not None]
    if spec.published:
        tops += [p.printed for p in drawn if p.printed is not None]
    high = max([spec.start + 1, *tops])
    return low, high + 0.06 * (high - low)


def _paint_bar(ax: "Axes", point: Point, at: float, width: float, spec: Bars, number: int) -> None:
    if point.mean is None:
        _write_at_foot(ax, at, "no value")
    else:
        ax.bar(at, point.mean - spec.start, width, bottom=spec.start, **style.fill(number))
        deviation = point.std if point.std is not None else 0.0  # of one run there is none
        ax.errorbar(at, point.mean, deviation, color="black", capsize=2.5, linewidth=1, clip_on=True)
        if point.n < point.planned:
            ax.annotate(
                f"{point.n}/{point.planned}", (at, point.mean + deviation), (0, 2), textcoords="offset points",
                ha="center", va="bottom", fontsize=7,
            )  # fmt: skip
        if point.mean < spec.start:
            _write_at_foot(ax, at, f"▼ {point.mean:.1f}")
    if spec.published and point.printed is not None:
        inside = "white" if point.copied else "black"  # hollow: not measured by the paper itself
        at += 0.25 * width  # beside the deviation, not on it
        ax.plot(at, point.printed, "D", markersize=4.5, markerfacecolor=inside, markeredgecolor="black", zorder=6)
        # A white rim keeps the diamond apart from a dark bar.
        ax.plot(at, point.printed, "D", markersize=6.5, markerfacecolor="white", markeredgecolor="white", zorder=5)


def _write_at_foot(ax: "Axes", at: float, words: str) -> None:
    ax.text(at, 0.02, words, rotation=90, ha="center", va="bottom", fontsize=7, transform=ax.get_xaxis_transform())


def _legend(figure: "Figure", spec: Bars, drawn: Sequence[Point], labels: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[object] = [Patch(**style.fill(number)) for number in range(len(labels))]
    names = list(labels)
    if spec.published and any(point.printed is not None for point in drawn):
        handles.append(Line2D([], [], marker="D", linestyle="", color="black"))
        names.append("printed in the paper")
    style.legend(figure, handles, names)


def _start_note(spec: Bars, drawn: Sequence[Point]) -> list[str]:
    if not spec.start:
        return []
    below = any(point.mean is not None and point.mean < spec.start for point in drawn)
    return [f"The axis starts at {spec.start:g}." + (" ▼ marks means below it." if below else "")]


def _rates_note(drawn: Sequence[Point]) -> list[str]:
    """Say each strategy's learning rate, task by task where tasks have different ones."""
    said = []
    for label in dict.fromkeys(point.group.label for point in drawn):
        tasks: dict[str, list[str]] = {}
        for point in drawn:
            if point.group.label == label:
                tasks.setdefault(layout.rate_text(point.group.learning_rate), []).append(point.group.column.label)
        several = [f"{rate} ({', '.join(names)})" for rate, names in tasks.items()]
        said.append(f"{label} {', '.join(several if len(several) > 1 else tasks)}")
    return [f"Learning rates: {'; '.join(said)}."]
