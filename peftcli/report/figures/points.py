"""One value with its deviation in a figure: a table cell, the paper's number beside it, and what is wrong with it."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from peftcli.errors import UserError
from peftcli.report.figures import style
from peftcli.report.figures.study import Group, Study
from peftcli.report.table import build, cells, selection
from peftcli.report.table.layout import CellRuns, TaskColumn
from peftcli.report.table.table import Cell


@dataclass(frozen=True)
class Point:
    """A group's cell, all in percent: `mean`, `std` and the paper's; of `n` of `planned` runs; None: no value.

    `left_out` collapsed runs do not count, nor `unlearned` ones, which score no more than `learned_above` percent.
    """

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
    unlearned: int = 0
    learned_above: float = -math.inf
    printed_std: float | None = None

    @property
    def label(self) -> str:
        """What the point stands for, in words."""
        return f"{self.group.label} on {self.group.column.label}"


def points(
    study: Study,
    groups: Iterable[Group],
    leave_out_collapsed: bool = False,
    not_learned: Mapping[str, float] = MappingProxyType({}),
) -> list[Point]:
    """Make a point of each group, without runs at most `not_learned` points above a constant answer, by column.

    Raises UserError where the published table cannot be read, and for a column of `not_learned` that there is not, or
    whose classes' sizes are not known.
    """
    limits = {
        column: _limit(column, above) for name, above in not_learned.items() for column in study.chosen_columns([name])
    }
    return [_point(study, group, leave_out_collapsed, limits.get(group.column, -math.inf)) for group in groups]


def _limit(column: TaskColumn, above: float) -> float:
    constant = build.baseline(column.task, column.split, column.metric, 100.0)
    if constant is None:
        raise UserError(f"not_learned: {column.column}: what a constant answer scores there is not known")
    return constant + above


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
        "Left out as not having learned": map(_unlearned, drawn),
        "Learning rate chosen without some runs": map(_chosen_without, drawn),
        "Copied by the paper from another (hollow)": (p.label for p in drawn if p.copied and p.printed is not None),
        "Printed as a maximum over runs, beside our mean": (p.label for p in drawn if p.is_maximum),
    }
    return [note for head, items in said.items() if (note := style.listed(head, items))]


def _point(study: Study, group: Group, leave_out_collapsed: bool, learned_above: float) -> Point:
    # Percent, mean and deviation at the group's own learning rate, whatever the recipe's table shows.
    view = study.view.model_copy(
        update={"select": "best learning rate by mean", "cell": "mean±std", "scale": "percent"}
    )
    split = selection.reported_split(group.column.split, group.outcomes[0].run.protocol)
    scores = [(outcome, outcome.value(split, group.column.metric)) for outcome in group.outcomes]
    # A run without a score is told as missing or diverged, not as one that did not learn.
    unlearned = [outcome for outcome, score in scores if score is not None and 100 * score <= learned_above]
    learned = tuple(o for o in group.outcomes if o not in unlearned)
    cell = cells.make(CellRuns(learned or group.outcomes, group.column, {}), view, ())
    # Where the paper printed several learning rates and the best is shown, its own best.
    _, printed = study.best_printed(group.candidates, group.column) or (0.0, None)
    # What the table prints as fractions is drawn in percent too.
    scale = 100 if study.view.scale == "fraction" else 1
    drop = leave_out_collapsed and bool(cell.collapsed)
    mean, std, n = cell.mean, cell.std, cell.n
    if not learned:
        mean, std, n = None, None, 0
    elif drop:
        mean, std, n = cell.mean_without_collapsed, cell.std_without_collapsed, cell.n - len(cell.collapsed)
    return Point(
        group=group,
        cell=cell,
        mean=mean,
        std=std,
        n=n,
        planned=len(group.outcomes),
        printed=None if printed is None or printed.shown is None else scale * printed.shown,
        copied=bool(printed and printed.copied_from),
        is_maximum=bool(printed and printed.mean is None and printed.maximum is not None),
        left_out=len(cell.collapsed) if drop else 0,
        unlearned=len(unlearned),
        learned_above=learned_above,
        printed_std=None if printed is None or printed.std is None else scale * printed.std,
    )


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


def _unlearned(point: Point) -> str:
    if not point.unlearned:
        return ""
    return f"{point.label}: {point.unlearned} of {point.planned} (no more than {point.learned_above:.1f})"


def _chosen_without(point: Point) -> str:
    group = point.group
    # A diverged run is an answer; a missing or failed one could have changed the choice.
    others = [outcome for outcome in group.candidates if outcome not in group.outcomes]
    lost = sum(outcome.state in ("missing", "failed", "damaged") for outcome in others)
    return f"{point.label}: {lost} of {len(group.candidates)}" if lost and point.cell.n else ""
