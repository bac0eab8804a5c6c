"""One value with its deviation in a figure: a table cell, the paper's number beside it, and what is wrong with it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from peftcli.report.figures import style
from peftcli.report.figures.study import Group, Study
from peftcli.report.statistics.describe import finite
from peftcli.report.table import cells, published
from peftcli.report.table.layout import CellRuns
from peftcli.report.table.published import Published
from peftcli.report.table.table import Cell


@dataclass(frozen=True)
class Point:
    """A group's cell. `mean`, `std` and the paper's `printed` are percent; `n` of `planned` runs; None: no value."""

    group: Group
    cell: Cell
    mean: float | None
    std: float | None
    n: int
    planned: int
    printed: float | None
    copied: bool
    is_maximum: bool
    left_out: int = 0

    @property
    def label(self) -> str:
        """What the point stands for, in words."""
        return f"{self.group.label} on {self.group.column.label}"


def points(study: Study, groups: Iterable[Group], leave_out_collapsed: bool = False) -> list[Point]:
    """Make a point of each group. Raises UserError where the published table cannot be read."""
    view = study.view.model_copy(
        update={"select": "best learning rate by mean", "cell": "mean±std", "scale": "percent"}
    )
    # Percent, mean and deviation at the group's own learning rate, whatever the recipe's table shows.
    with_cells = ((group, cells.make(CellRuns(group.outcomes, group.column, {}), view, ())) for group in groups)
    return [_point(study, group, cell, leave_out_collapsed) for group, cell in with_cells]


def describe(point: Point) -> str:
    """Say a point in words, with the paper's number where there is one."""
    ours = "no value" if point.mean is None else f"{point.mean:.1f}"
    spread = "" if point.std is None else f" ± {point.std:.1f}"
    printed = "" if point.printed is None else f" (printed {point.printed:.1f})"
    return f"{point.label}: {ours}{spread}{printed}."


def notes(drawn: Sequence[Point]) -> list[str]:
    """Say which points are not whole: values that are missing, runs that collapsed, rates chosen from fewer runs."""
    said = {
        "Fewer values than runs": map(_fewer, drawn),
        "One answer for every example": map(_collapsed, drawn),
        "Learning rate chosen without some runs": map(_chosen_without, drawn),
        "Copied by the paper from another (hollow)": (p.label for p in drawn if p.copied and p.printed is not None),
        "Printed as a maximum over runs, beside our mean": (p.label for p in drawn if p.is_maximum),
    }
    return [note for head, items in said.items() if (note := style.listed(head, items))]


def _point(study: Study, group: Group, cell: Cell, leave_out_collapsed: bool) -> Point:
    printed = _printed(study, group)
    # What the table prints as fractions is drawn in percent too.
    scale = 100 if study.view.scale == "fraction" else 1
    drop = leave_out_collapsed and bool(cell.collapsed)
    return Point(
        group=group,
        cell=cell,
        mean=cell.mean_without_collapsed if drop else cell.mean,
        std=cell.std_without_collapsed if drop else cell.std,
        n=cell.n - len(cell.collapsed) if drop else cell.n,
        planned=cell.planned,
        printed=None if printed is None or printed.shown is None else scale * printed.shown,
        copied=bool(printed and printed.copied_from),
        is_maximum=bool(printed and printed.mean is None and printed.maximum is not None),
        left_out=len(cell.collapsed) if drop else 0,
    )


def _printed(study: Study, group: Group) -> Published | None:
    """Return the paper's cell for these runs; where it printed several learning rates and the best is shown, its own best."""
    column = group.column
    runs = {outcome.run.learning_rate: outcome.run for outcome in group.candidates}
    cells_of = [published.find(study.printed, run, column.column, column.metric) for run in runs.values()]
    with_value = [cell for cell in cells_of if cell is not None and finite([cell.shown])]
    return max(with_value, key=lambda cell: cell.shown or 0.0, default=None)


def _fewer(point: Point) -> str:
    cell = point.cell
    if cell.n == cell.planned:
        return ""
    states = Counter(outcome.state for outcome in point.group.outcomes if outcome.state != "completed")
    why = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{point.label}: {cell.n} of {cell.planned}" + (f" ({why})" if why else "")


def _collapsed(point: Point) -> str:
    count = len(point.cell.collapsed)
    return f"{point.label}: {count} of {point.cell.n} ({'left out' if point.left_out else 'kept'})" if count else ""


def _chosen_without(point: Point) -> str:
    group = point.group
    # A diverged run is an answer; a missing or failed one could have changed the choice.
    others = [outcome for outcome in group.candidates if outcome not in group.outcomes]
    lost = sum(outcome.state in ("missing", "failed", "damaged") for outcome in others)
    return f"{point.label}: {lost} of {len(group.candidates)}" if lost and point.cell.n else ""
