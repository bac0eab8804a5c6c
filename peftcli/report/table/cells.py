"""One cell from its runs: mean and deviation of the chosen learning rate, and what is amiss. No torch."""

from collections.abc import Sequence
from typing import Any

from peftcli.errors import UserError
from peftcli.records import origin
from peftcli.report.statistics import describe
from peftcli.report.table import beside_paper, published, selection
from peftcli.report.table.layout import CellRuns
from peftcli.report.table.published import Published
from peftcli.report.table.selection import Outcome, State
from peftcli.report.table.spec import View
from peftcli.report.table.table import AtRate, Cell

SCALES = {"percent": 100.0, "fraction": 1.0}


def make(runs: CellRuns, view: View, printed: Sequence[Published]) -> Cell:
    """Make a cell; ranks come later. Raises UserError where the view selects by a validation split that no run has."""
    column = runs.column
    split = selection.reported_split(column.split, runs.outcomes[0].run.protocol)
    rates: dict[float, list[Outcome]] = {}
    for outcome in runs.outcomes:
        rates.setdefault(outcome.run.learning_rate, []).append(outcome)
    rate = _choose(runs, view, rates)
    # Where no rate has a value yet, the first stands for the cell: its runs are named as missing.
    chosen = runs.outcomes if view.select == "every run" else rates.get(rate or 0.0, next(iter(rates.values())))
    by_rate = {each: describe.mean(_scores(rates[each], split, column.metric, view)) for each in sorted(rates)}
    cell = Cell(
        strategy=chosen[0].run.strategy,
        options=chosen[0].run.options,
        setting=runs.setting,
        task=column.task,
        task_entry=column.task_entry,
        column=column.column,
        split=split,
        metric=column.metric,
        learning_rate=rate,
        ddof=view.ddof,
        planned=len(chosen),
        pairs=view.pairs,
        # A diverged run ended: it left no number, but there is nothing to wait for.
        runs=sum(o.state in ("completed", "diverged") for o in runs.outcomes),
        runs_planned=len(runs.outcomes),
        files=_files(chosen),
        held_out=_held_out(chosen, view),
        by_rate=by_rate,
        at_rates={}
        if view.select == "every run"
        else {r: _at_rate(rates[r], split, column.metric, view) for r in by_rate},
        flattery=_flattery(view, rate, by_rate),
        missing=_names(runs.outcomes, "missing"),
        failed=_names(runs.outcomes, "failed"),
        damaged=_names(runs.outcomes, "damaged"),
        diverged=_names(runs.outcomes, "diverged"),
        mixed=(*origin.mixed(outcome.origin for outcome in runs.outcomes), *selection.computed_apart(runs.outcomes)),
        sources=tuple(dict.fromkeys(o.source for o in runs.outcomes if o.source)),
        **_numbers(chosen, split, column.metric, view),
        **_parameters(chosen),
    )
    return beside_paper.put(cell, published.find(printed, chosen[0].run, column.column, column.metric))


def _choose(runs: CellRuns, view: View, rates: dict[float, list[Outcome]]) -> float | None:
    """Choose the cell's learning rate by the view's rule; None over every run, and where no run left a value."""
    if view.select == "every run":
        return None
    training = runs.outcomes[0].run.protocol
    if view.by_validation and not training.validation_share:
        raise UserError(
            "table: select: best learning rate by validation needs a protocol that holds validation examples out "
            "(validation_share above 0)"
        )
    # Not the column's own split or metric: one rate, chosen once, fills all columns of a task (MNLI has two splits).
    # With `every learning rate` the cell has one rate only, which this then finds.
    return selection.best_rate(rates, selection.reported_split(runs.first_split, training), view.by_validation)


def _numbers(chosen: Sequence[Outcome], split: str, metric: str, view: View) -> dict[str, Any]:
    """Return a cell's values, what they come to, and what they would come to without collapsed runs."""
    scores = _scores(chosen, split, metric, view)
    # Seeds repeat across learning rates: over every run, values are numbered instead.
    values = dict(enumerate(scores)) if view.select == "every run" else _by_seed(chosen, scores)
    sound = [score for o, score in zip(chosen, scores, strict=True) if split not in o.collapsed]
    averaged = view.cell == "mean±std"
    return {
        "values": values,
        "n": len(describe.finite(scores)),
        "mean": describe.mean(scores) if averaged else None,
        # The divisor is n - ddof, by the paper's habit: 1 for a sample's deviation, 0 for the population's.
        "std": describe.std(scores, view.ddof) if averaged else None,
        "maximum": max(describe.finite(scores), default=None),
        "collapsed": tuple(o.run.describe() for o in chosen if split in o.collapsed),
        "mean_without_collapsed": describe.mean(sound) if averaged else None,
        "std_without_collapsed": describe.std(sound, view.ddof) if averaged else None,
    }


def _at_rate(outcomes: Sequence[Outcome], split: str, metric: str, view: View) -> AtRate:
    """Return what a cell's runs at one learning rate came to: what tests of the best of several rates need."""
    return AtRate(
        values=_by_seed(outcomes, _scores(outcomes, split, metric, view)),
        held_out=_held_out(outcomes, view),
        collapsed=sum(split in outcome.collapsed for outcome in outcomes),
        diverged=sum(outcome.state == "diverged" for outcome in outcomes),
        files=_files(outcomes),
    )


def _files(outcomes: Sequence[Outcome]) -> dict[int, str]:
    """Return the records of the runs that ended with a value, by seed."""
    return {outcome.run.seed: str(outcome.file) for outcome in outcomes if outcome.state == "completed"}


def _by_seed(chosen: Sequence[Outcome], scores: Sequence[float | None]) -> dict[int, float | None]:
    """Return each seed's value: the mean of its runs, where several were made with one seed (imported ones may be).

    A cell's mean is over all of its runs, as papers print it; tests want one value a seed, since runs of one seed are
    not independent.
    """
    runs: dict[int, list[float | None]] = {}
    for outcome, score in zip(chosen, scores, strict=True):
        runs.setdefault(outcome.run.seed, []).append(score)
    # A single run's value stays as it is, to the last bit.
    return {seed: of[0] if len(of) == 1 else describe.mean(of) for seed, of in runs.items()}


def _scores(outcomes: Sequence[Outcome], split: str, metric: str, view: View) -> list[float | None]:
    """Return each run's metric in the table's unit; None for a run that left none."""
    fractions = [outcome.value(split, metric) for outcome in outcomes]
    return [None if fraction is None else SCALES[view.scale] * fraction for fraction in fractions]


def _held_out(chosen: Sequence[Outcome], view: View) -> float | None:
    """Return the mean on held-out examples of the runs that ended with a value, in the table's unit; None if one lacks it."""
    scores = [outcome.held_out for outcome in chosen if outcome.scores]
    mean = describe.mean(scores) if len(describe.finite(scores)) == len(scores) else None
    return None if mean is None else SCALES[view.scale] * mean


def _names(outcomes: Sequence[Outcome], state: State) -> tuple[str, ...]:
    """Name the runs in a state ("rte layernorm lr=0.01 seed=1")."""
    return tuple(outcome.run.describe() for outcome in outcomes if outcome.state == state)


def _flattery(view: View, rate: float | None, by_rate: dict[float, float | None]) -> float | None:
    """Return the chosen rate's mean minus the others', where it was chosen on the numbers that are shown."""
    if rate is None or view.select != "best learning rate by mean":
        return None
    chosen, others = by_rate[rate], describe.mean(mean for other, mean in by_rate.items() if other != rate)
    return None if chosen is None or others is None else chosen - others


def _parameters(chosen: Sequence[Outcome]) -> dict[str, Any]:
    """Return what the records say of the parameters, averaged over the chosen runs: a Bernoulli draw differs by seed."""
    counts = [outcome.parameters for outcome in chosen if outcome.parameters]
    if not counts:
        return {}
    return {
        "total": counts[0].get("total"),
        "trainable": describe.mean(each.get("trainable") for each in counts),
        "trainable_percent": describe.mean(each.get("trainable_percent") for each in counts),
        "head": counts[0].get("head"),
    }
