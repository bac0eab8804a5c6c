"""The mean rank of each strategy over tasks, and bars that join those not shown to differ (Demšar, JMLR 2006).

Strategies are rows, the best on top, so that names never meet; bars stand beside the rows that they join.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from peftcli.errors import UserError
from peftcli.report import over_tasks
from peftcli.report.figures import style
from peftcli.report.figures.spec import FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.over_tasks import Column, Strategy
from peftcli.report.statistics.mean_ranks import LEAST_STRATEGIES, LEAST_TASKS, MeanRanks, mean_ranks
from peftcli.report.table import build

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class CriticalDifference(FigureSpec):
    """Mean ranks over five tasks or more, and bars that join strategies not shown to differ (Friedman, Nemenyi, 5 %)."""

    kind: Literal["critical_difference"] = Field(description="Mean ranks over tasks, and who is not shown to differ.")


@dataclass(frozen=True)
class Ranking:
    """The strategies that have every task, by name, with their mean ranks; None where too few have. `notes` on the rest."""

    names: tuple[str, ...]
    ranks: MeanRanks | None
    notes: tuple[str, ...]


def collect(spec: CriticalDifference, study: Study) -> Ranking:
    """Rank the table's strategies over its tasks.

    Raises UserError for a name that the recipe does not have, for fewer than five tasks or three strategies, and where
    the table shows maxima.
    """
    if study.view.cell != "mean±std":
        raise UserError(f"figure {spec.name}: ranks over tasks are of means, and the table's cells are maxima")
    columns = [(each.task_entry, each.column, each.metric) for each in study.chosen_columns(spec.tasks)]
    planned = _strategies(study, columns, spec)
    tasks = len({each.task for each in study.chosen_columns(spec.tasks)})
    for count, least, what in ((tasks, LEAST_TASKS, "tasks"), (len(planned), LEAST_STRATEGIES, "strategies")):
        if count < least:
            raise UserError(f"figure {spec.name}: mean ranks need {least} {what} or more, and there are {count}")
    whole = [each for each in planned if over_tasks.is_whole(each, columns)]
    lacking = [" / ".join(each.key) for each in planned if not over_tasks.is_whole(each, columns)]
    left_out = style.listed(f"Left out, not on every task, {len(lacking)} of {len(planned)}", lacking)
    ranks = mean_ranks(over_tasks.scores(whole)) if len(whole) >= LEAST_STRATEGIES else None
    return Ranking(tuple(" / ".join(each.key) for each in whole), ranks, (left_out,) if left_out else ())


def _strategies(study: Study, columns: Sequence[Column], spec: CriticalDifference) -> list[Strategy]:
    """Return the strategies of the recipe's table, each with its cells in the chosen columns alone."""
    # Counting parameters takes longer than all else, and no rank needs it.
    recipe = study.recipe.model_copy(update={"table": {**(study.recipe.table or {}), "parameters": "none"}})
    table = build.tabulate(recipe, study.chosen_outcomes(spec.strategies))
    return [
        Strategy(each.key, {column: each.cells[column] for column in columns if column in each.cells})
        for each in over_tasks.strategies(table)
    ]


@draws(CriticalDifference, "mean ranks over tasks", collect)
def draw(spec: CriticalDifference, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows: every mean rank, the test, and who is not shown to differ."""
    # Here, because a figure's words are those of the report's section.
    from peftcli.report.formats import over_tasks_table

    ranking = collect(spec, study)
    if ranking.ranks is None:
        return paint(ranking, ()), " ".join(["Fewer than three strategies are on every task yet.", *ranking.notes])
    ranks = ranking.ranks
    test = over_tasks_table.in_words(ranks, list(ranking.names))
    order = sorted(range(len(ranks.ranks)), key=ranks.ranks.__getitem__)
    said = "; ".join(f"{ranking.names[at]} {ranks.ranks[at]:.2f}" for at in order)
    bars = ["Bars on the right join those not shown to differ."] if ranks.alike() else []
    return paint(ranking, (test.partition(" Not shown")[0], *bars)), " ".join(
        [f"{test} Ranks: {said}.", *ranking.notes]
    )


def paint(ranking: Ranking, said: Sequence[str]) -> "Figure":
    """Draw a row a strategy with its mean rank, a bar for each group, and the critical difference as a measure on top."""
    count = len(ranking.names) if ranking.ranks else 1
    # Inches: a fifth a row, and room for axis and measure.
    figure, ((ax,),) = style.grid(1, 1, 6.2, 1.3 + 0.21 * count)
    if ranking.ranks is None:
        ax.tick_params(labelbottom=False, labelleft=False)
        ax.text(0.5, 0.5, "not enough runs yet", transform=ax.transAxes, ha="center", va="center")
    else:
        _paint_ranks(ax, ranking.names, ranking.ranks)
    style.write_notes(figure, [*said, *ranking.notes])
    return figure


def _paint_ranks(ax: "Axes", names: Sequence[str], ranks: MeanRanks) -> None:
    order = sorted(range(len(names)), key=ranks.ranks.__getitem__)
    row = {at: number for number, at in enumerate(order)}
    ax.hlines(range(len(order)), 1, [ranks.ranks[at] for at in order], color="#dddddd", linewidth=0.8)
    ax.plot([ranks.ranks[at] for at in order], range(len(order)), "o", color=style.COLOURS[0], markersize=6)
    ax.set_yticks(range(len(order)), [style.escape(names[at]) for at in order])
    ax.set_ylim(len(order) - 0.4, -1.7)  # the best on top, and above it the measure
    ax.set_xlim(0.8, len(order) + 0.2)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"mean rank over {ranks.tasks} tasks (1: best)")
    ax.set_ylabel("strategy")
    ax.plot([1, 1 + ranks.critical], [-1, -1], "|-", color="black", linewidth=1.2, markersize=7)
    words = f"critical difference {ranks.critical:.2f}"
    ax.annotate(words, (1 + ranks.critical, -1), (5, 0), textcoords="offset points", va="center", fontsize=8)
    ends: list[int] = []  # the last row of each lane of bars so far
    for group in ranks.alike():
        first, last = row[group[0]], row[group[-1]]
        lane = next((at for at, end in enumerate(ends) if end < first), len(ends))
        ends[lane : lane + 1] = [last]
        # Right of the panel, in its own width (0 to 1): bars there cross nothing.
        across = 1.02 + 0.022 * lane
        ax.plot([across] * 2, [first - 0.25, last + 0.25], color="black", linewidth=2.5, solid_capstyle="butt",
                transform=ax.get_yaxis_transform(), clip_on=False)  # fmt: skip
