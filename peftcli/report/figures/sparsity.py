"""Mean and standard deviation against the share of weights trained (effectiveness, Figure 5)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from peftcli.errors import UserError
from peftcli.report.figures import lines, style
from peftcli.report.figures.lines import Across, Line, Mark, Panel
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import FigureSpec, draws
from peftcli.report.figures.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sparsity(FigureSpec):
    """Mean and standard deviation against the share of weights trained."""

    kind: Literal["sparsity"] = Field(description="Mean and deviation against the share of weights trained.")
    option: str = Field("share", description="The option of the strategies that says the share, a fraction.")


def collect(spec: Sparsity, study: Study) -> list[Point]:
    """Return the points of strategies that have the option, by rising share. Raises UserError where none has."""
    every = points(study, study.groups(spec.tasks, spec.strategies, "best"))
    kept = [point for point in every if share(spec, point) is not None]
    if not kept:
        raise UserError(f"figure {spec.name}: no strategy of the recipe has the option {spec.option!r} as a number")
    return sorted(kept, key=lambda point: float(share(spec, point) or 0))


@draws(Sparsity, "mean and deviation against the share trained", collect)
def draw(spec: Sparsity, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = collect(spec, study)
    by_task, across = panels(spec, drawn)
    head = "Mean and standard deviation against the share of weights trained."
    words = " ".join([head, *map(describe, drawn), *notes(drawn)])
    return lines.paint(by_task, across, 2, notes(drawn)), words  # mean left, deviation right


def share(spec: Sparsity, point: Point) -> float | None:
    """Return the share of weights that a point's strategy trains, a fraction; None where it has no such number."""
    value = point.group.outcomes[0].run.options.get(spec.option)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def panels(spec: Sparsity, drawn: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make two panels of each task, side by side: the mean, and the deviation that the runs have around it."""
    by_task = []
    for column in dict.fromkeys(point.group.column for point in drawn):
        of_task = [point for point in drawn if point.group.column == column]
        means, deviations = [], []
        for number, name in enumerate(dict.fromkeys(point.group.outcomes[0].run.strategy for point in of_task)):
            of_strategy = [point for point in of_task if point.group.outcomes[0].run.strategy == name]
            means.append(Line(name, tuple(_at(spec, p, p.mean) for p in of_strategy), number))
            deviations.append(Line(name, tuple(_at(spec, p, p.std) for p in of_strategy), number))
        by_task.append(Panel(f"{column.label}: mean", style.short(column.metric), tuple(means)))
        by_task.append(Panel(f"{column.label}: standard deviation", "standard deviation (points)", tuple(deviations)))
    shares = sorted({value for point in drawn if (value := share(spec, point)) is not None})
    # Shares are chosen in powers of ten; 0 has no logarithm, and two of them make no scale.
    scale: Literal["linear", "log"] = "log" if shares[0] > 0 and len(shares) > 2 else "linear"
    ticks = tuple((value, f"{100 * value:g}") for value in shares)
    return by_task, Across("share of weights trained (%)", ticks, scale)


def _at(spec: Sparsity, point: Point, value: float | None) -> Mark:
    return Mark(share(spec, point) or 0.0, value, None, point.n, point.planned)
