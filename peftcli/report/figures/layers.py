"""The metric against the one layer whose weights are trained (transferability, Table 3, as a curve)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftcli.errors import UserError
from peftcli.report.figures import lines
from peftcli.report.figures.lines import Across, At, Line, Panel
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import Layers
from peftcli.report.figures.study import Study
from peftcli.report.figures.words import axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(spec: Layers, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    found = collect(spec, study)
    made, across = panels(spec, found)
    words = " ".join(["The metric against the layer trained.", *map(describe, found), *notes(found)])
    return lines.paint(made, across, min(2, len(made)), notes(found)), words


def collect(spec: Layers, study: Study) -> list[Point]:
    """Give the points of strategies with one layer, and of the baselines. Raises UserError where none has one."""
    names = [*(spec.strategies or ()), *spec.baselines] if spec.strategies else None
    found = points(study, study.groups(spec.tasks, names, "best"))
    kept = [point for point in found if layer(point) is not None or _is_baseline(spec, point)]
    if not any(layer(point) for point in kept):
        raise UserError(f"figure {spec.name}: no strategy of the recipe trains one layer alone (layers: [n])")
    return kept


def layer(point: Point) -> int | None:
    """Give the one layer that a point's strategy trains, from 1; None where it is not one."""
    layers = point.group.outcomes[0].run.options.get("layers")
    return int(layers[0]) if isinstance(layers, list) and len(layers) == 1 else None


def panels(spec: Layers, found: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make a panel of each task: a line of each strategy over layers, the baselines as level lines."""
    made = []
    for column in dict.fromkeys(point.group.column for point in found):
        own = [point for point in found if point.group.column == column]
        drawn = []
        single = [point for point in own if layer(point) is not None]
        for number, name in enumerate(dict.fromkeys(point.group.outcomes[0].run.strategy for point in single)):
            places = sorted(
                (p for p in single if p.group.outcomes[0].run.strategy == name), key=lambda p: layer(p) or 0
            )
            drawn.append(Line(name, tuple(_at(point) for point in places), number))
            printed = tuple(At(float(layer(p) or 0), p.printed) for p in places if p.printed is not None)
            if spec.published and printed:
                drawn.append(Line(f"{name}, printed", printed, number, "printed"))
        for point in own:
            if _is_baseline(spec, point):
                drawn.append(Line(point.group.label, (At(0, point.mean, point.std),), 0, "level"))
        made.append(Panel(column.label, axis(column.metric), tuple(drawn)))
    trained = sorted({one for point in found if (one := layer(point)) is not None})
    return made, Across("layer trained (1 is next to the embeddings)", tuple((float(n), str(n)) for n in trained))


def _at(point: Point) -> At:
    return At(float(layer(point) or 0), point.mean, point.std, point.n, point.planned)


def _is_baseline(spec: Layers, point: Point) -> bool:
    names = {point.group.label, point.group.outcomes[0].run.strategy}
    return layer(point) is None and bool(names & set(spec.baselines))
