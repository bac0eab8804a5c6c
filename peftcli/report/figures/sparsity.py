"""Mean and standard deviation against the share of weights trained (effectiveness, Figure 5)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftcli.errors import UserError
from peftcli.report.figures import lines
from peftcli.report.figures.lines import Across, At, Line, Panel
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import Sparsity
from peftcli.report.figures.study import Study
from peftcli.report.figures.words import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(spec: Sparsity, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    found = collect(spec, study)
    made, across = panels(spec, found)
    head = "Mean and standard deviation against the share of weights trained."
    words = " ".join([head, *map(describe, found), *notes(found)])
    return lines.paint(made, across, 2, notes(found)), words


def collect(spec: Sparsity, study: Study) -> list[Point]:
    """Give the points of strategies that have the option. Raises UserError where none has."""
    found = points(study, study.groups(spec.tasks, spec.strategies, "best"))
    kept = [point for point in found if isinstance(share(spec, point), int | float)]
    if not kept:
        raise UserError(f"figure {spec.name}: no strategy of the recipe has the option {spec.option!r} as a number")
    return sorted(kept, key=lambda point: float(share(spec, point) or 0))


def share(spec: Sparsity, point: Point) -> float | None:
    """Give the share of weights that a point's strategy trains, a fraction."""
    found = point.group.outcomes[0].run.options.get(spec.option)
    return None if found is None else float(found)


def panels(spec: Sparsity, found: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make two panels of each task, side by side: the mean, and the deviation that the runs have around it."""
    made = []
    for column in dict.fromkeys(point.group.column for point in found):
        own = [point for point in found if point.group.column == column]
        means, deviations = [], []
        for number, name in enumerate(dict.fromkeys(point.group.outcomes[0].run.strategy for point in own)):
            places = [point for point in own if point.group.outcomes[0].run.strategy == name]
            means.append(Line(name, tuple(_at(spec, p, p.mean) for p in places), number))
            deviations.append(Line(name, tuple(_at(spec, p, p.std) for p in places), number))
        words = short(column.metric)
        made.append(Panel(f"{column.label}: mean", words, tuple(means)))
        made.append(Panel(f"{column.label}: standard deviation", "standard deviation (points)", tuple(deviations)))
    shares = sorted({value for point in found if (value := share(spec, point)) is not None})
    scale = "log" if shares[0] > 0 and len(shares) > 2 else "linear"
    ticks = tuple((value, f"{100 * value:g}") for value in shares)
    return made, Across("share of weights trained (%)", ticks, "log" if scale == "log" else "linear")


def _at(spec: Sparsity, point: Point, value: float | None) -> At:
    return At(share(spec, point) or 0.0, value, None, point.n, point.planned)
