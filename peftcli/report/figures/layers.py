"""The metric against the one layer whose weights are trained (transferability, Table 3, as a curve)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from peftcli.errors import UserError
from peftcli.report.figures import lines, style
from peftcli.report.figures.lines import Across, Line, Mark, Panel
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import PUBLISHED, FigureSpec, draws
from peftcli.report.figures.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Layers(FigureSpec):
    """The metric against the one layer trained."""

    kind: Literal["layers"] = Field(description="The metric against the one layer trained.")
    baselines: list[str] = Field([], description="Strategies, by name or label, drawn as level lines.")
    published: bool = Field(False, description=PUBLISHED)


def collect(spec: Layers, study: Study) -> list[Point]:
    """Return the points of strategies with one layer, and of the baselines. Raises UserError where none has one."""
    study.chosen_outcomes(spec.baselines)  # refuses a name that the recipe does not have
    names = [*(spec.strategies or ()), *spec.baselines] if spec.strategies else None
    every = points(study, study.groups(spec.tasks, names, "best"))
    kept = [point for point in every if layer(point) is not None or _is_baseline(spec, point)]
    if not any(layer(point) for point in kept):
        raise UserError(f"figure {spec.name}: no strategy of the recipe trains one layer alone (layers: [n])")
    return kept


@draws(Layers, "one layer trained alone", collect)
def draw(spec: Layers, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = collect(spec, study)
    by_task, across = panels(spec, drawn)
    words = " ".join(["The metric against the layer trained.", *map(describe, drawn), *notes(drawn)])
    return lines.paint(by_task, across, min(2, len(by_task)), notes(drawn)), words


def layer(point: Point) -> int | None:
    """Return the one layer that a point's strategy trains, from 1; None where it is not one."""
    layers = point.group.outcomes[0].run.options.get("layers")
    return int(layers[0]) if isinstance(layers, list) and len(layers) == 1 else None


def panels(spec: Layers, drawn: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make a panel of each task: a line of each strategy over layers, the baselines as level lines."""
    by_task = []
    for column in dict.fromkeys(point.group.column for point in drawn):
        of_task = [point for point in drawn if point.group.column == column]
        shown = []
        single = [point for point in of_task if layer(point) is not None]
        for number, name in enumerate(dict.fromkeys(point.group.outcomes[0].run.strategy for point in single)):
            of_strategy = [(layer(p) or 0, p) for p in single if p.group.outcomes[0].run.strategy == name]
            of_strategy.sort(key=lambda pair: pair[0])
            ours = tuple(Mark(float(n), p.mean, p.std, p.n, p.planned) for n, p in of_strategy)
            shown.append(Line(name, ours, number))
            printed = tuple(Mark(float(n), p.printed) for n, p in of_strategy if p.printed is not None)
            if spec.published and printed:
                shown.append(Line(f"{name}, printed", printed, number, "printed"))
        for point in of_task:
            if _is_baseline(spec, point):
                # A level line has no place on the axis of layers: only its height and deviation count.
                shown.append(Line(point.group.label, (Mark(0, point.mean, point.std),), 0, "level"))
        by_task.append(Panel(column.label, style.axis(column.metric), tuple(shown)))
    trained = sorted({one for point in drawn if (one := layer(point)) is not None})
    return by_task, Across("layer trained (1 is next to the embeddings)", tuple((float(n), str(n)) for n in trained))


def _is_baseline(spec: Layers, point: Point) -> bool:
    names = {point.group.label, point.group.outcomes[0].run.strategy}
    return layer(point) is None and bool(names & set(spec.baselines))
