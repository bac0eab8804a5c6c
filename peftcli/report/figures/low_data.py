"""The metric against the number of training examples (freezing, Figure 3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftcli.report.figures import lines, style
from peftcli.report.figures.lines import Across, At, Line, Panel
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import LowData
from peftcli.report.figures.study import Study
from peftcli.report.figures.words import axis
from peftcli.report.table import layout
from peftcli.tasks import registry as tasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(spec: LowData, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    found = collect(spec, study)
    made, across = panels(spec, study, found)
    said = [*notes(found), *_unknown(study, found)]
    words = " ".join(["The metric against the number of training examples.", *map(describe, found), *said])
    return lines.paint(made, across, min(2, len(made)), said), words


def collect(spec: LowData, study: Study) -> list[Point]:
    """Give a point of each strategy at each size."""
    return points(study, study.groups(spec.tasks, spec.strategies, spec.learning_rate))


def size(study: Study, point: Point) -> int:
    """Give the number of training examples before any are held out: the whole set where not cut; 0: not known."""
    run = point.group.outcomes[0].run
    if run.protocol.train_size:
        return run.protocol.train_size
    if run.task in tasks.TASKS:
        return tasks.TASKS[run.task].sizes["train"]
    bodies = filter(None, map(study.body, point.group.outcomes))
    return next((data["sizes"]["train"] for body in bodies if (data := body["data"])), 0)


def panels(spec: LowData, study: Study, found: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make a panel of each task and metric, with a line for each strategy."""
    made = []
    for task, metric in dict.fromkeys((p.group.column.column, p.group.column.metric) for p in found):
        own = [p for p in found if (p.group.column.column, p.group.column.metric) == (task, metric) and size(study, p)]
        drawn: list[Line] = []
        for number, label in enumerate(dict.fromkeys(point.group.label for point in own)):
            places = sorted((point for point in own if point.group.label == label), key=lambda p: size(study, p))
            rates = " / ".join(dict.fromkeys(layout.rate_text(point.group.learning_rate) for point in places))
            ours = tuple(At(size(study, p), p.mean, p.std, p.n, p.planned) for p in places)
            drawn.append(Line(f"{label} (learning rate {rates})", ours, number))
            printed = tuple(At(size(study, p), p.printed) for p in places if p.printed is not None)
            if spec.published and printed:
                drawn.append(Line(f"{label}, printed", printed, number, "printed"))
        made.append(Panel(task, axis(metric), tuple(drawn)))
    sizes = sorted({size(study, point) for point in found} - {0})
    return made, Across("training examples (logarithmic)", tuple((float(n), f"{n:,}") for n in sizes), "log")


def _unknown(study: Study, found: Sequence[Point]) -> list[str]:
    """Say of which points the number of examples is not known, so that they cannot be drawn."""
    note = style.listed(
        "Left out, no record tells the number of examples", (p.place for p in found if not size(study, p))
    )
    return [note] if note else []
