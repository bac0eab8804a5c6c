"""What strategies score against what they cost, with the frontier drawn through what is separable.

A panel a task column, or one for the average over them. A bar is a 95 % interval by Student's t over seeds, none below
three of them. The frontier steps up only to a point that is shown to be better than every cheaper one
(`peftcli.report.statistics.frontier`), ours and the paper's each with its own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from peftcli.report.figures import expenses, points, style, trade_offs
from peftcli.report.figures.expenses import Against
from peftcli.report.figures.pareto_panels import Panel, Step, paint
from peftcli.report.figures.spec import PUBLISHED, RATE, BestOrRate, FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.figures.trade_offs import TradeOff
from peftcli.report.statistics import frontier, intervals
from peftcli.report.statistics.contrast import LEAST_SEEDS, Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Pareto(FigureSpec):
    """The score against the cost of training, with 95 % intervals, and the frontier through what is shown to be better.

    A panel a task column. Each step of the frontier is better than every cheaper point (Games–Howell, two-sided 5 %).
    """

    kind: Literal["pareto"] = Field(description="The score against a cost, and the frontier of what is separable.")
    against: Against = Field(
        "parameters",
        description="The cost: trained parameters, bytes of the delta, seconds a run, or peak memory.",
    )
    average: bool = Field(False, description="One panel for the average over the columns, instead of one for each.")
    learning_rate: BestOrRate = Field("best", description=RATE)
    published: bool = Field(False, description=PUBLISHED)

    @model_validator(mode="after")
    def _printed_costs(self) -> Self:
        if self.published and self.against != "parameters":
            raise ValueError("published: a printed cell has no cost but its parameters")
        return self


def collect(spec: Pareto, study: Study) -> tuple[list[TradeOff], list[str]]:
    """Return every trade-off, drawn or not, and what to know of them. Raises UserError."""
    drawn = points.points(study, study.groups(spec.tasks, spec.strategies, spec.learning_rate))
    all_of_them = [trade_offs.of_runs(study, point, spec.against) for point in drawn]
    if spec.published:
        all_of_them += [each for point in drawn if (each := trade_offs.printed(study, point)) is not None]
    columns = len({point.group.column for point in drawn})
    panels = columns
    if spec.average and columns > 1:  # an average of one column is that column
        all_of_them, panels = trade_offs.over_columns(all_of_them, columns), 1
    said = [
        *points.notes(drawn),
        *trade_offs.notes(spec.against, all_of_them, panels),
        *expenses.notes(spec.against, [outcome for point in drawn for outcome in point.group.outcomes]),
    ]
    said += trade_offs.over_examples_alone(study, drawn)
    return all_of_them, said


@draws(Pareto, "score against cost", collect)
def draw(spec: Pareto, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows: every point, and the frontier of each panel."""
    all_of_them, said = collect(spec, study)
    panels = make_panels(spec, study, all_of_them)
    said += [note for panel in panels for note in untested(panel)] + [legend_of_bars(panels)]
    head = f"Scores against {expenses.MEASURES[spec.against].axis}, with 95 % intervals."
    words = " ".join([head, *(sentence for panel in panels for sentence in describe(spec, panel)), *said])
    return paint(spec.against, panels, list(filter(None, said))), words


def make_panels(spec: Pareto, study: Study, all_of_them: Sequence[TradeOff]) -> list[Panel]:
    """Make the panels of the trade-offs that can be drawn, each with its frontiers."""
    titles = dict.fromkeys(each.panel for each in all_of_them)
    axis_of = style.axis if len(titles) == 1 else style.short
    metrics = {column.label: axis_of(column.metric) for column in study.columns}
    panels = []
    for title in titles:
        drawn = [each for each in all_of_them if each.panel == title and each.is_whole]
        ours, theirs = ([each for each in drawn if each.is_printed == of_paper] for of_paper in (False, True))
        axis = metrics.get(title, "average score (× 100)")
        panels.append(Panel(title, axis, tuple(drawn), tuple(steps(ours)), tuple(steps(theirs))))
    return panels


def steps(drawn: Sequence[TradeOff]) -> list[Step]:
    """Return the steps of the frontier, cheapest first; trade-offs without three seeds take no part in it."""
    testable = [each for each in drawn if is_testable(each.score)]
    scores = [each.score for each in testable if each.score is not None]
    costs = [each.cost.mean for each in testable if each.cost is not None]
    better = frontier.shown_better(scores)
    on = frontier.frontier(costs, [score.mean for score in scores], better)
    return [Step(testable[at], until) for at, until in zip(on, frontier.treads(costs, on, better), strict=True)]


def is_testable(score: Sample | None) -> bool:
    """Say whether a score can be tested at all: of three seeds or more, or printed with its deviation over as many."""
    return score is not None and score.deviation is not None and score.n >= LEAST_SEEDS


def untested(panel: Panel) -> list[str]:
    """Say which points of a panel take no part in its frontier."""
    without = [each.label for each in panel.points if not is_testable(each.score)]
    if len(without) == len(panel.points) > 0:
        return [f"{panel.title}: no point has a deviation over {LEAST_SEEDS} seeds, so there is no frontier."]
    note = style.listed(f"{panel.title}: no part of the frontier, without {LEAST_SEEDS} seeds", without)
    return [note] if note else []


def legend_of_bars(panels: Sequence[Panel]) -> str:
    """Say what bars and frontier are, and why it breaks off where it does; "" where there are none."""
    if not any(is_testable(each.score) for panel in panels for each in panel.points):
        return ""
    ends = [of[-1].until for panel in panels for of in (panel.frontier, panel.printed_frontier) if of]
    breaks = " It breaks off where something better is shown, but not to be better than every cheaper point."
    return (
        "Bars: 95 % intervals by Student's t. Each step of the frontier is shown to be better than every cheaper point "
        f"(Games–Howell over the panel, two-sided 5 %).{breaks if any(end is not None for end in ends) else ''}"
    )


def describe(spec: Pareto, panel: Panel) -> list[str]:
    """Say a panel's points in words, cheapest first, and its frontier, with what is on it by its mean alone."""
    ordered = sorted(panel.points, key=lambda each: each.cost.mean if each.cost else 0.0)
    said = [f"{panel.title}: {'; '.join(_in_words(spec, each) for each in ordered) or 'no point'}."]
    for whose, on in (("frontier", panel.frontier), ("printed frontier", panel.printed_frontier)):
        if on:
            said += [f"On the {whose}: {', '.join(step.point.label for step in on)}{_beyond(panel, on)}."]
    return said


def _beyond(panel: Panel, on: Sequence[Step]) -> str:
    """Say what is on the frontier by its mean alone, and where it breaks off."""
    whose = [each for each in panel.points if each.is_printed == on[0].point.is_printed and is_testable(each.score)]
    alone = frontier.by_scores_alone(
        [each.cost.mean for each in whose if each.cost], [each.score.mean for each in whose if each.score]
    )
    shown = [step.point for step in on]
    more = [whose[at].label for at in alone if whose[at] not in shown]
    also = (
        f"; by the mean alone also {', '.join(more)}, not shown to be better than every cheaper point" if more else ""
    )
    return also if on[-1].until is None else f"{also}; dearer ones are shown to be better than {shown[-1].label}"


def _in_words(spec: Pareto, each: TradeOff) -> str:
    assert each.score is not None
    assert each.cost is not None
    printed = ", printed" if each.is_printed else ""
    around = intervals.student(each.score)
    interval = f" ({around[0]:.1f} to {around[1]:.1f})" if around else ""
    return f"{each.label}{printed} {each.score.mean:.1f}{interval} at {expenses.in_words(spec.against, each.cost.mean)}"
