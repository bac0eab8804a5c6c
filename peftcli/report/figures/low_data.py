"""The metric against the number of training examples (freezing, Figure 3)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from peftcli.report.figures import lines, style
from peftcli.report.figures.lines import Across, Line, Mark, Panel
from peftcli.report.figures.points import Point, describe, notes, points
from peftcli.report.figures.spec import PUBLISHED, RATE, BestOrRate, FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.table import layout
from peftcli.tasks import registry as tasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NEAR = 0.09  # as a fraction of the axis: "20,000" takes about as much


class LowData(FigureSpec):
    """The metric against the number of training examples; a strategy with one learning rate keeps it."""

    kind: Literal["low_data"] = Field(description="The metric against the number of training examples.")
    learning_rate: BestOrRate = Field("best", description=RATE)
    published: bool = Field(False, description=PUBLISHED)


def collect(spec: LowData, study: Study) -> list[Point]:
    """Return a point of each strategy at each size."""
    return points(study, study.groups(spec.tasks, spec.strategies, spec.learning_rate))


@draws(LowData, "fewer training examples", collect)
def draw(spec: LowData, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = collect(spec, study)
    tasks_drawn, across = panels(spec, study, drawn)
    said = [*notes(drawn), *_unknown(study, drawn)]
    words = " ".join(["The metric against the number of training examples.", *map(describe, drawn), *said])
    return lines.paint(tasks_drawn, across, min(2, len(tasks_drawn)), said), words


def size(study: Study, point: Point) -> int:
    """Return the number of training examples before any are held out: the whole set where not cut; 0: not known."""
    run = point.group.outcomes[0].run
    if run.protocol.train_size:
        return run.protocol.train_size
    if run.task in tasks.TASKS:
        return tasks.TASKS[run.task].sizes["train"]
    bodies = filter(None, map(study.body, point.group.outcomes))
    return next((data["sizes"]["train"] for body in bodies if (data := body["data"])), 0)


def panels(spec: LowData, study: Study, drawn: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make a panel of each task and metric, with a line for each strategy."""
    by_task = []
    for task, metric in dict.fromkeys((p.group.column.column, p.group.column.metric) for p in drawn):
        # Columns of one task that differ in the number of examples are places of one line.
        sized = [
            (examples, point)
            for point in drawn
            if (point.group.column.column, point.group.column.metric) == (task, metric)
            and (examples := size(study, point))
        ]
        of_task: list[Line] = []
        for number, label in enumerate(dict.fromkeys(point.group.label for _, point in sized)):
            points_of = sorted(((x, p) for x, p in sized if p.group.label == label), key=lambda pair: pair[0])
            # The best rate may be another one at each size.
            rates = " / ".join(dict.fromkeys(layout.rate_text(point.group.learning_rate) for _, point in points_of))
            ours = tuple(Mark(x, p.mean, p.std, p.n, p.planned) for x, p in points_of)
            of_task.append(Line(f"{label} (learning rate {rates})", ours, number))
            printed = tuple(Mark(x, p.printed) for x, p in points_of if p.printed is not None)
            if spec.published and printed:
                of_task.append(Line(f"{label}, printed", printed, number, "printed"))
        by_task.append(Panel(task, style.axis(metric), tuple(of_task)))
    sizes = sorted({size(study, point) for point in drawn} - {0})
    # Logarithmic: papers halve or quarter the sets, and the smallest ones differ most.
    return by_task, Across("training examples (logarithmic)", _ticks(sizes), "log")


def _ticks(sizes: Sequence[int]) -> tuple[tuple[float, str], ...]:
    """Return the ticks of the sizes; one too near the last, as seen on the axis, has its word a line lower."""
    ticks: list[tuple[float, str]] = []
    for size in sizes:
        near = bool(ticks) and math.log(size / ticks[-1][0]) < NEAR * math.log(sizes[-1] / sizes[0])
        lower = near and not ticks[-1][1].startswith("\n")
        ticks.append((float(size), f"\n{size:,}" if lower else f"{size:,}"))
    return tuple(ticks)


def _unknown(study: Study, drawn: Sequence[Point]) -> list[str]:
    """Say of which points the number of examples is not known, so that they cannot be drawn."""
    note = style.listed(
        "Left out, no record tells the number of examples", (p.label for p in drawn if not size(study, p))
    )
    return [note] if note else []
