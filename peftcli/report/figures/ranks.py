"""The rank by performance at each rank by stability: mean and deviation (effectiveness, Figure 4).

In every task column the strategies are ranked by their mean (1: highest) and by their standard deviation (1: lowest), as
printed; those that are equal share the best of their ranks. A table's average is a column too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from peftcli.errors import unknown
from peftcli.experiment.settings import NAMES
from peftcli.report import printed
from peftcli.report.figures import style
from peftcli.report.figures.points import Point, notes, points
from peftcli.report.figures.spec import FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.statistics import describe, significance
from peftcli.report.statistics.significance import Test

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("stability_rank", "mean", "std")  # of a file with the paper's points


@dataclass(frozen=True)
class Ranked:
    """A strategy in a column: its rank by standard deviation (1: lowest) and by mean (1: highest)."""

    label: str
    column: str
    stability: int
    performance: int


@dataclass(frozen=True)
class Spread:
    """The performance ranks of the `count` cells with one stability rank: mean and population standard deviation."""

    stability: int
    mean: float
    std: float
    count: int | None = None  # None: the paper's, which does not say


class Ranks(FigureSpec):
    """Mean and deviation of the rank by mean at each rank by deviation, with Spearman's correlation."""

    kind: Literal["ranks"] = Field(description="The rank by mean at each rank by deviation, and their correlation.")
    average: bool = Field(True, description="Whether each strategy's average over the tasks is a further column.")
    apart: str | None = Field(
        None,
        description="A training setting: tasks that differ in it are of several tables, each with its own average.",
    )
    published: str | None = Field(
        None, description="The CSV file with the paper's points, beside the recipe: stability_rank, mean, std."
    )


def collect(spec: Ranks, study: Study) -> tuple[list[Point], list[Spread]]:
    """Return the point of each strategy on each task, at its best learning rate, and the paper's points."""
    if spec.apart is not None and spec.apart not in NAMES:
        raise unknown("training setting of this figure", spec.apart, NAMES)
    file = spec.published and study.recipe.path.parent / spec.published
    theirs = [Spread(int(rank), mean, std) for rank, mean, std in printed.read(file, COLUMNS)] if file else []
    return points(study, study.groups(spec.tasks, spec.strategies, "best")), theirs


@draws(Ranks, "stability against performance", collect)
def draw(spec: Ranks, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn, theirs = collect(spec, study)
    ranked = ranks(spec, drawn, study.view.decimals)
    ours = spreads(ranked)
    shown = [f"{s.stability}: {s.mean:.2f} ± {s.std:.2f}" for s in ours]
    said = [f"Rank by mean at each rank by deviation: {', '.join(shown)}."] if shown else []
    if theirs:
        said.append(f"Printed: {', '.join(f'{s.stability}: {s.mean:.2f} ± {s.std:.2f}' for s in theirs)}.")
    return paint(ranked, ours, theirs, notes(drawn)), " ".join([f"{words(ranked)}.", *said, *notes(drawn)])


def ranks(spec: Ranks, drawn: Sequence[Point], decimals: int) -> list[Ranked]:
    """Rank the strategies of each column, as printed; one without a mean or a deviation takes no part."""
    tables: dict[Any, dict[str, dict[str, Point]]] = {}  # the setting's value -> column -> label -> point
    for point in drawn:
        value = spec.apart and getattr(point.group.outcomes[0].run.protocol, spec.apart)
        tables.setdefault(value, {}).setdefault(point.group.column.label, {})[point.group.label] = point
    ranked = []
    for columns in tables.values():
        for name, of_column in columns.items():
            ranked += _in_column(name, {label: (p.mean, p.std) for label, p in of_column.items()}, decimals)
        # An average of one column would count it twice.
        if spec.average and len(columns) > 1:
            ranked += _in_column("average", _averages(list(columns.values())), decimals)
    return ranked


def _averages(columns: Sequence[dict[str, Point]]) -> dict[str, tuple[float | None, float | None]]:
    """Average the means and the deviations of the strategies that have both in every column."""
    averages = {}
    for label in columns[0]:
        cells = [column[label] for column in columns if label in column]
        if len(cells) == len(columns) and all(p.mean is not None and p.std is not None for p in cells):
            averages[label] = describe.mean(p.mean for p in cells), describe.mean(p.std for p in cells)
    return averages


def _in_column(name: str, cells: dict[str, tuple[float | None, float | None]], decimals: int) -> list[Ranked]:
    # Without one of the two numbers a strategy would have a rank in one order and none in the other.
    whole = {label: (mean, std) for label, (mean, std) in cells.items() if mean is not None and std is not None}
    by_mean = describe.rank([mean for mean, _ in whole.values()], decimals=decimals)
    by_std = describe.rank([std for _, std in whole.values()], higher_is_better=False, decimals=decimals)
    return [
        Ranked(label, name, int(stability or 0), int(performance or 0))
        for label, stability, performance in zip(whole, by_std, by_mean, strict=True)
    ]


def spreads(ranked: Sequence[Ranked]) -> list[Spread]:
    """Take mean and population standard deviation of the performance ranks at each stability rank."""
    at: dict[int, list[int]] = {}
    for each in ranked:
        at.setdefault(each.stability, []).append(each.performance)
    return [
        Spread(rank, describe.mean(of_rank) or 0.0, describe.std(of_rank, 0) or 0.0, len(of_rank))
        for rank, of_rank in sorted(at.items())
    ]


def correlation(ranked: Sequence[Ranked]) -> Test:
    """Return Spearman's correlation of the two ranks over all cells."""
    return significance.spearman([r.stability for r in ranked], [r.performance for r in ranked])


def words(ranked: Sequence[Ranked]) -> str:
    """Say the correlation in a line."""
    test = correlation(ranked)
    if test.statistic is None or test.p_value is None:
        return f"n = {test.n}: no correlation can be had"
    return f"Spearman's ρ = {test.statistic:.3f}, p = {test.p_value:.2g}, n = {test.n}"


def paint(
    ranked: Sequence[Ranked], ours: Sequence[Spread], theirs: Sequence[Spread], remarks: Sequence[str]
) -> "Figure":
    """Draw mean and deviation at each stability rank, ours as discs, the paper's as diamonds beside them."""
    # Inches: as wide as a column of a page, for ten ranks.
    figure, axes = style.grid(1, 1, 5.2, 3.6)
    ax = axes[0][0]
    handles = {}
    looks: dict[str, dict[str, Any]] = {
        "these runs": {"color": "#0072b2", "marker": "o"},
        "printed in the paper": {
            "color": "black",
            "marker": "D",
            "markerfacecolor": "white",
            "linestyle": (0, (1, 1.5)),
        },
    }
    # Beside each other where both are there: equal means would hide one another.
    aside = 0.1 if ours and theirs else 0.0
    for (name, look), drawn, shift in zip(looks.items(), (ours, theirs), (-aside, aside), strict=True):
        if drawn:
            at, means, deviations = zip(*((s.stability + shift, s.mean, s.std) for s in drawn), strict=True)
            handles[name] = ax.errorbar(at, means, deviations, capsize=2.5, elinewidth=0.9, linewidth=1.2, **look)
    last = max([r.stability for r in ranked] + [s.stability for s in theirs], default=1)
    lowest = max([r.performance for r in ranked] + [s.stability for s in theirs], default=1)
    ax.set(xlim=(0.5, last + 0.5), xticks=range(1, last + 1), yticks=range(1, lowest + 1))
    ax.set_xlabel("stability: rank by standard deviation (1 = lowest)")
    ax.set_ylabel("performance: rank by mean\n(1 = highest; mean ± std)")
    ax.set_title(style.escape(f"These runs: {words(ranked)}"))
    style.legend(figure, list(handles.values()), list(handles))
    style.write_notes(figure, remarks)
    return figure
