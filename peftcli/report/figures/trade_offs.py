"""The points of a Pareto figure: what a strategy scores beside what it costs, ours and printed, with what is left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.errors import UserError
from peftcli.report.figures import expenses, style
from peftcli.report.figures.expenses import Against
from peftcli.report.figures.points import Point
from peftcli.report.figures.study import Study
from peftcli.report.statistics.contrast import Sample
from peftcli.report.statistics.seed_averages import average
from peftcli.report.table.published import Published
from peftcli.tasks import imported_only


@dataclass(frozen=True, eq=False)  # of two points with equal numbers each is its own
class TradeOff:
    """A strategy in a panel: its score in percent and its cost, each over seeds. `is_printed` says whose numbers they are.

    None instead of either: it cannot stand in the figure, and a note says why.
    """

    label: str
    panel: str
    score: Sample | None
    cost: Sample | None
    is_printed: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it can be drawn."""
        return self.score is not None and self.cost is not None


def of_runs(study: Study, point: Point, against: Against) -> TradeOff:
    """Return the trade-off of a group's runs; of a known number of examples a single run's score varies as their answers do."""
    score, examples = Sample.of(point.cell.values), _examples(study, point)
    if score is not None and score.n == 1 and examples is not None:
        score = over_examples(score.mean, examples, point.group.column.metric)
    cost = expenses.of_runs(against, study.recipe, point.group.outcomes)
    return TradeOff(point.group.label, point.group.column.label, score, cost)


def over_examples(score: float, examples: int, metric: str) -> Sample:
    """Return an accuracy in percent as the sample of its examples, each answered rightly (100) or wrongly (0).

    Raises UserError for another metric: it is no mean over examples.
    """
    if metric != "accuracy":
        raise UserError(f"examples: {metric} is no mean over examples, as accuracy is: leave the key out")
    share = score / 100
    deviation = 100 * math.sqrt(max(share * (1 - share), 0.0) * examples / (examples - 1))
    return Sample(score, deviation, examples)


def over_examples_alone(study: Study, drawn: Sequence[Point]) -> list[str]:
    """Say of which points the intervals are over examples alone: those of a single run on a known number of them."""
    counts = {point.group.column.label: _examples(study, point) for point in drawn if point.cell.n == 1}
    return [
        f"{label}: one run a point: intervals and frontier are over the {count:,} examples alone, unpaired and without "
        "the variance of seeds."
        for label, count in counts.items()
        if count is not None
    ]


def _examples(study: Study, point: Point) -> int | None:
    """How many examples a point's task was tested on, where the recipe says it of imported runs."""
    return imported_only.examples(study.recipe.tasks[point.group.column.task_entry][1].options)


def printed(study: Study, point: Point) -> TradeOff | None:
    """Return the trade-off of the paper's cell beside a group, at its own best rate; None where it printed none."""
    best = study.best_printed(point.group.candidates, point.group.column)
    if best is None or best[1].shown is None:
        return None
    cell, run = best[1], point.group.outcomes[0].run
    return TradeOff(
        point.group.label, point.group.column.label, _printed_score(study, cell),
        expenses.of_printed(study.recipe, run, cell), True,
    )  # fmt: skip


def _printed_score(study: Study, cell: Published) -> Sample:
    """Return a printed cell's score in percent; without a deviation for a maximum, and for another paper's cell."""
    scale = 100.0 if study.view.scale == "fraction" else 1.0
    deviation = None if cell.std is None or cell.mean is None or cell.copied_from else scale * cell.std
    # An unknown divisor is taken as n, which makes the sample's deviation the larger.
    return Sample.printed(scale * (cell.shown or 0.0), deviation, cell.n, cell.ddof or 0)


def over_columns(trade_offs: Sequence[TradeOff], columns: int) -> list[TradeOff]:
    """Average each strategy's trade-offs over the columns, seed by seed; one without all of them cannot be drawn."""
    groups: dict[tuple[str, bool], list[TradeOff]] = {}
    for each in trade_offs:
        groups.setdefault((each.label, each.is_printed), []).append(each)
    averages = []
    for (label, is_printed), of_label in groups.items():
        scores = [each.score for each in of_label if each.score is not None]
        costs = [each.cost for each in of_label if each.cost is not None]
        score = average(scores) if len(scores) == columns else None
        cost = average(costs) if len(costs) == columns else None
        averages.append(TradeOff(label, f"average over {columns} columns", score, cost, is_printed))
    return averages


def notes(against: Against, all_of_them: Sequence[TradeOff], panels: int) -> list[str]:
    """Say which trade-offs are left out, and why."""

    def names(some: Sequence[TradeOff]) -> list[str]:
        return [
            each.label + (f" on {each.panel}" if panels > 1 else "") + (" (printed)" if each.is_printed else "")
            for each in some
        ]

    without_score = [each for each in all_of_them if each.score is None]
    without_cost = [each for each in all_of_them if each.score is not None and each.cost is None]
    missing = expenses.MEASURES[against].missing
    said = [
        style.listed(f"Left out without a score, {len(without_score)} of {len(all_of_them)}", names(without_score)),
        style.listed(f"Left out, {missing}, {len(without_cost)} of {len(all_of_them)}", names(without_cost)),
    ]
    return list(filter(None, said))
