"""Rank by stability against rank by performance, with Spearman's correlation (effectiveness, Figure 4)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from peftcli.report.figures import style
from peftcli.report.figures.points import Point, notes, points
from peftcli.report.figures.spec import FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.statistics import describe, significance
from peftcli.report.statistics.significance import Test

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Ranked:
    """A strategy on a task: its rank by standard deviation (1: lowest) and by mean (1: highest), ties averaged."""

    label: str
    task: str
    stability: float
    performance: float


class RankScatter(FigureSpec):
    """Rank by standard deviation against rank by mean of every strategy on every task, with Spearman's correlation."""

    kind: Literal["rank_scatter"] = Field(description="Rank by deviation against rank by mean, and their correlation.")


def collect(spec: RankScatter, study: Study) -> list[Point]:
    """Return the point of each strategy on each task, at its best learning rate."""
    return points(study, study.groups(spec.tasks, spec.strategies, "best"))


@draws(RankScatter, "stability against performance", collect)
def draw(spec: RankScatter, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = collect(spec, study)
    ranked = ranks(drawn, study.view.decimals)
    head = "Rank by standard deviation against rank by mean."
    return paint(ranked, notes(drawn)), " ".join([head, f"{words(ranked)}.", *notes(drawn)])


def ranks(drawn: Sequence[Point], decimals: int) -> list[Ranked]:
    """Rank the strategies of each task column, as printed; one without a mean or a deviation takes no part."""
    ranked = []
    for column in dict.fromkeys(point.group.column for point in drawn):
        of_task = [p for p in drawn if p.group.column == column and p.mean is not None and p.std is not None]
        by_std = describe.rank([p.std for p in of_task], False, "average", decimals)
        by_mean = describe.rank([p.mean for p in of_task], True, "average", decimals)
        for point, stability, performance in zip(of_task, by_std, by_mean, strict=True):
            ranked.append(Ranked(point.group.label, column.label, stability or 0.0, performance or 0.0))
    return ranked


def correlation(ranked: Sequence[Ranked]) -> Test:
    """Return Spearman's correlation of the two ranks over all strategies and tasks."""
    return significance.spearman([r.stability for r in ranked], [r.performance for r in ranked])


def paint(ranked: Sequence[Ranked], remarks: Sequence[str]) -> "Figure":
    """Draw a disc for every pair of ranks, as large as it is frequent, with its count where it is more than one."""
    # Inches: a square plot, the rest for the axis's name.
    figure, axes = style.grid(1, 1, 4.6, 4.4)
    ax = axes[0][0]
    counts = Counter((one.stability, one.performance) for one in ranked)
    for (x, y), count in sorted(counts.items()):
        # `s` is an area in square points: a disc that stands for two is twice as large.
        ax.scatter(x, y, s=60 * count, facecolor="#56b4e9", edgecolor="black", linewidth=0.7, zorder=3)
        if count > 1:
            ax.annotate(str(count), (x, y), ha="center", va="center", fontsize=7, zorder=4)
    # Both axes hold the same ranks, so the square has the same scale both ways and half a rank of room around it.
    last = max([r.stability for r in ranked] + [r.performance for r in ranked], default=1.0)
    ticks = range(1, int(last) + 1)
    ax.set(xlim=(0.3, last + 0.7), ylim=(0.3, last + 0.7), xticks=ticks, yticks=ticks, aspect="equal")
    ax.set_xlabel("stability: rank by standard deviation (1 = lowest)")
    ax.set_ylabel("performance: rank by mean (1 = highest)")
    ax.set_title(style.escape(words(ranked)))
    shared = "A number in a disc counts the strategies and tasks that share the place."
    style.write_notes(figure, [*([shared] if len(counts) < len(ranked) else []), *remarks])
    return figure


def words(ranked: Sequence[Ranked]) -> str:
    """Say the correlation in a line."""
    test = correlation(ranked)
    if test.statistic is None or test.p_value is None:
        return f"n = {test.n}: no correlation can be had"
    return f"Spearman's ρ = {test.statistic:.3f}, p = {test.p_value:.2g}, n = {test.n}"
