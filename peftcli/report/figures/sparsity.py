"""Mean and standard deviation against the share of weights trained, tested and trained on (effectiveness, Figure 5)."""

from collections.abc import Sequence
from dataclasses import replace
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

Measure = Literal["mean", "std"]


class Sparsity(FigureSpec):
    """Mean and standard deviation against the share of weights trained, a line for each task.

    Where the protocol evaluates what it trains on (`evaluate_train: end`), two more panels show that.
    """

    kind: Literal["sparsity"] = Field(description="Mean and deviation against the share of weights trained.")
    option: str = Field("share", description="The option of the strategies that says the share, a fraction.")
    published: bool = Field(False, description=PUBLISHED)


def collect(spec: Sparsity, study: Study) -> list[Point]:
    """Return the points of strategies that have the option, by rising share, those of training sets behind the others.

    Raises UserError where no strategy has the option.
    """
    groups = study.groups(spec.tasks, spec.strategies, "best")
    # The same runs, read on the split that they trained on.
    trained = [
        replace(group, column=replace(group.column, split="train"), label=f"{group.label} (training set)")
        for group in groups
        if group.outcomes[0].run.protocol.evaluate_train
    ]
    kept = [point for point in points(study, [*groups, *trained]) if share(spec, point) is not None]
    if not kept:
        raise UserError(f"figure {spec.name}: no strategy of the recipe has the option {spec.option!r} as a number")
    return sorted(kept, key=lambda point: (_is_of_training(point), float(share(spec, point) or 0)))


def _is_of_training(point: Point) -> bool:
    return point.group.column.split == "train"


@draws(Sparsity, "mean and deviation against the share trained", collect)
def draw(spec: Sparsity, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = collect(spec, study)
    head = "Mean and standard deviation against the share of weights trained."
    words = " ".join([head, *map(describe, drawn), *notes(drawn)])
    return lines.paint(*panels(spec, drawn), 2, notes(drawn)), words  # mean left, deviation right


def share(spec: Sparsity, point: Point) -> float | None:
    """Return the share of weights that a point's strategy trains, a fraction; None where it has no such number."""
    value = point.group.outcomes[0].run.options.get(spec.option)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def panels(spec: Sparsity, drawn: Sequence[Point]) -> tuple[list[Panel], Across]:
    """Make two panels side by side, the mean and the deviation around it; two more below where training sets count."""
    both = []
    for of_training in (False, True):
        of_split = [point for point in drawn if _is_of_training(point) == of_training]
        if not of_split:
            continue
        name = f"{of_split[0].cell.split.partition('_')[0].replace('train', 'training').capitalize()} set"
        metrics = dict.fromkeys(style.short(point.group.column.metric) for point in of_split)
        score = next(iter(metrics)) if len(metrics) == 1 else "each task's score (× 100)"
        both.append(Panel(f"{name}: mean", score, _of_tasks(spec, of_split, "mean")))
        both.append(
            Panel(f"{name}: standard deviation", "standard deviation (points)", _of_tasks(spec, of_split, "std"))
        )
    shares = sorted({value for point in drawn if (value := share(spec, point)) is not None})
    # Shares are chosen in powers of ten; 0 has no logarithm, and two of them make no scale.
    scale: Literal["linear", "log"] = "log" if shares[0] > 0 and len(shares) > 2 else "linear"
    ticks = tuple((value, f"{100 * value:g}") for value in shares)
    return both, Across("share of weights trained (%)", ticks, scale)


def _of_tasks(spec: Sparsity, drawn: Sequence[Point], measure: Measure) -> tuple[Line, ...]:
    """Make a line of each task (and strategy, where several have the option), the paper's behind ours."""
    # A line is named after its task alone where one strategy has the option, as in the paper.
    several = len({point.group.outcomes[0].run.strategy for point in drawn}) > 1
    groups: dict[str, list[Point]] = {}
    for point in sorted(drawn, key=lambda point: point.group.column.task_entry):
        task, strategy = point.group.column.label, point.group.outcomes[0].run.strategy
        groups.setdefault(f"{task}, {strategy}" if several else task, []).append(point)
    ours, printed = [], []
    for look, (label, of_line) in enumerate(groups.items()):
        at = [(share(spec, point) or 0.0, point) for point in of_line]
        ours.append(Line(label, tuple(Mark(x, getattr(p, measure), None, p.n, p.planned) for x, p in at), look))
        theirs = [(x, p.printed if measure == "mean" else p.printed_std) for x, p in at]
        marks = tuple(Mark(x, value) for x, value in theirs if value is not None)
        if spec.published and marks:
            printed.append(Line(lines.PRINTED, marks, look, "printed"))
    return *printed, *ours
