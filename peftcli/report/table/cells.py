"""One cell from its runs: mean and deviation of the chosen learning rate, and what is amiss. No torch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peftcli import records
from peftcli.errors import UserError
from peftcli.report.statistics import describe
from peftcli.report.table import published, selection
from peftcli.report.table.layout import CellRuns
from peftcli.report.table.published import Published
from peftcli.report.table.selection import Outcome, State
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell

SCALES = {"percent": 100.0, "fraction": 1.0}


def make(place: CellRuns, view: View, printed: Sequence[Published]) -> Cell:
    """Make a cell; ranks come later. Raises UserError where the view selects by a validation split that no run has."""
    column, scale = place.column, SCALES[view.scale]
    split = selection.reported_split(column.split, place.outcomes[0].run.protocol)
    rates: dict[float, list[Outcome]] = {}
    for outcome in place.outcomes:
        rates.setdefault(outcome.run.learning_rate, []).append(outcome)
    rate = _choose(place, view, rates)
    chosen = place.outcomes if view.select == "every run" else rates.get(rate or 0.0, next(iter(rates.values())))
    values = _values(chosen, split, column.metric, scale, by_seed=view.select != "every run")
    sound = _values([o for o in chosen if split not in o.collapsed], split, column.metric, scale, by_seed=False)
    by_rate = {at: describe.mean(_scaled(own, split, column.metric, scale)) for at, own in sorted(rates.items())}
    averaged = view.cell == "mean±std"
    cell = Cell(
        strategy=chosen[0].run.strategy,
        options=chosen[0].run.options,
        setting=place.setting,
        task=column.task,
        task_entry=column.task_entry,
        column=column.column,
        split=split,
        metric=column.metric,
        learning_rate=rate,
        values=values,
        mean=describe.mean(values.values()) if averaged else None,
        std=describe.std(values.values(), view.ddof) if averaged else None,
        maximum=max(describe.finite(values.values()), default=None),
        ddof=view.ddof,
        n=len(describe.finite(values.values())),
        planned=len(chosen),
        runs=sum(o.state in ("completed", "diverged") for o in place.outcomes),
        runs_planned=len(place.outcomes),
        files={o.run.seed: str(records.path(Path(), o.run)) for o in chosen if o.state == "completed"},
        missing=_named(place.outcomes, "missing"),
        failed=_named(place.outcomes, "failed"),
        damaged=_named(place.outcomes, "damaged"),
        diverged=_named(place.outcomes, "diverged"),
        collapsed=tuple(o.run.describe() for o in chosen if split in o.collapsed),
        mean_without_collapsed=describe.mean(sound.values()) if averaged else None,
        std_without_collapsed=describe.std(sound.values(), view.ddof) if averaged else None,
        by_rate=by_rate,
        flattery=_flattery(view, rate, by_rate),
        **_parameters(chosen),
    )
    return _beside(cell, published.find(printed, chosen[0].run, column.column, column.metric), view)


def _choose(place: CellRuns, view: View, rates: dict[float, list[Outcome]]) -> float | None:
    if view.select == "every run":
        return None
    training = place.outcomes[0].run.protocol
    held_out = view.select == "best learning rate by validation"
    if held_out and not training.validation_share:
        raise UserError(
            "table: select: best learning rate by validation needs a protocol that holds validation examples out "
            "(validation_share above 0)"
        )
    return selection.best_rate(rates, selection.reported_split(place.first_split, training), held_out)


def _values(
    outcomes: Sequence[Outcome], split: str, metric: str, scale: float, by_seed: bool
) -> dict[int, float | None]:
    """Values by seed, or by a running number where seeds repeat; None for a run that left none."""
    found = zip(outcomes, _scaled(outcomes, split, metric, scale), strict=True)
    return {(outcome.run.seed if by_seed else at): value for at, (outcome, value) in enumerate(found)}


def _scaled(outcomes: Sequence[Outcome], split: str, metric: str, scale: float) -> list[float | None]:
    values = [outcome.value(split, metric) for outcome in outcomes]
    return [None if value is None else scale * value for value in values]


def _named(outcomes: Sequence[Outcome], state: State) -> tuple[str, ...]:
    return tuple(outcome.run.describe() for outcome in outcomes if outcome.state == state)


def _flattery(view: View, rate: float | None, by_rate: dict[float, float | None]) -> float | None:
    """The chosen rate's mean minus the mean of the others', where it was chosen on the numbers that are shown."""
    if rate is None or view.select != "best learning rate by mean":
        return None
    chosen, others = by_rate[rate], describe.mean(mean for at, mean in by_rate.items() if at != rate)
    return None if chosen is None or others is None else chosen - others


def _parameters(chosen: Sequence[Outcome]) -> dict[str, Any]:
    """What the records say of the parameters, averaged over the chosen runs: a Bernoulli draw differs by seed."""
    known = [outcome.parameters for outcome in chosen if outcome.parameters]
    if not known:
        return {}
    return {
        "total": known[0]["total"],
        "trainable": describe.mean(own["trainable"] for own in known),
        "trainable_percent": describe.mean(own["trainable_percent"] for own in known),
        "head": known[0]["head"],
    }


def _beside(cell: Cell, printed: Published | None, view: View) -> Cell:
    """Put the printed cell beside ours; a cell copied from another paper is shown, but no difference is taken."""
    if printed is None:
        return cell
    shown, theirs = cell.shown, printed.shown
    if printed.copied_from or shown is None or theirs is None:
        return replace(cell, published=printed)
    theirs_ddof = view.ddof if printed.ddof is None else printed.ddof
    outside = describe.outside_two_standard_errors(
        cell.mean,
        cell.std,
        cell.n,
        printed.mean,
        printed.std,
        printed.n,
        ddof=view.ddof,
        published_ddof=theirs_ddof,
        rounding=0.5 * 10**-printed.decimals,
    )
    return replace(cell, published=printed, difference=shown - theirs, outside=outside)
