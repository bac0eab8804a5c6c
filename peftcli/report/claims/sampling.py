"""The samples over seeds that a cell, printed or ours, may stand for in a test: which runs, and what is amiss with them.

A strategy's best learning rate is the one that held-out examples choose, where the protocol has any; else every rate is a
candidate, and "best" means that any of them is. Where only the best of several is known, it says of how many.
"""

import math
from collections.abc import Sequence
from typing import Any

from peftcli.report.claims.evidence import Candidate
from peftcli.report.statistics import describe
from peftcli.report.statistics.contrast import Sample
from peftcli.report.table import over_examples
from peftcli.report.table.layout import rate_text
from peftcli.report.table.spec import View
from peftcli.report.table.table import AtRate, Cell, Row

MISSING, MAXIMA, NOTHING = "runs are missing", "maxima", "no number"
AVERAGED = "an average's deviation"  # none can be made


def ours(cell: Cell, view: View, label: str, by_test: bool) -> dict[str, Any]:
    """Return the candidates of a cell of ours, or why it has none; `by_test` leaves out what held-out examples say."""
    if why_not := _unusable(cell):
        return {"untestable": why_not}
    rates = _rates(cell, view, by_test)
    several = len(cell.at_rates) > 1
    return {
        "candidates": tuple(
            Candidate(
                label=f"{label} {rate_text(rate)}" if several else label,
                sample=sample,
                pairs=cell.seeds and frozenset(at.values),
                collapsed=at.collapsed,
                diverged=at.diverged,
                runs=over_examples.runs(cell, view, at),
            )
            for rate, at in rates.items()
            if (sample := Sample.of(at.values)) is not None
        )
    }


def _unusable(cell: Cell) -> str:
    """Say why no test can be made on a cell of ours; "" where one can."""
    if cell.missing or cell.failed or cell.damaged:
        # With them the mean might be another one, and so might the rate that is chosen.
        return MISSING if not cell.failed else "runs failed"
    if not cell.at_rates:
        return MAXIMA
    return "no run left a number" if cell.n == 0 else ""


def _rates(cell: Cell, view: View, by_test: bool) -> dict[float, AtRate]:
    """Return what the rates that may be the best one came to: one of them where held-out examples choose."""
    # As where a table chooses: a rate that lost a seed is no candidate beside one that did not.
    seeds = {rate: len(describe.finite(at.values.values())) for rate, at in cell.at_rates.items()}
    candidates = {rate: at for rate, at in cell.at_rates.items() if seeds[rate] == max(seeds.values())}
    if view.by_validation and cell.learning_rate is not None and not by_test:
        return {cell.learning_rate: cell.at_rates[cell.learning_rate]}
    held_out = {rate: at.held_out for rate, at in sorted(candidates.items()) if at.held_out is not None}
    if by_test or len(held_out) < len(candidates):
        return candidates
    chosen = max(held_out, key=lambda rate: held_out[rate])  # of equal ones the first: the lower rate
    return {chosen: candidates[chosen]}


def printed(cell: Cell, view: View, label: str) -> dict[str, Any]:
    """Return the one candidate of a printed cell, or why it has none."""
    theirs = cell.published
    if theirs is None or theirs.shown is None:
        return {"untestable": NOTHING}
    if theirs.mean is None:
        return {"untestable": MAXIMA}
    sample = Sample.printed(theirs.mean, theirs.std, theirs.n, cell.ddof if theirs.ddof is None else theirs.ddof)
    # The paper chose among the recipe's rates by the very numbers that it printed.
    choices = len(cell.by_rate) if view.select == "best learning rate by mean" else 1
    return {"candidates": (Candidate(label, sample, choices=max(choices, 1)),)}


def our_average(row: Row, view: View, label: str, by_test: bool) -> dict[str, Any]:
    """Return the one candidate of a row's average: each seed's mean over the columns, or why it has none."""
    cells = [cell for cell in row.cells if cell is not None]
    if why_not := next((why for cell in cells if (why := _unusable(cell))), ""):
        return {"untestable": why_not}
    if len(cells) < len(row.cells):
        return {"untestable": MISSING}
    rates = [_rates(cell, view, by_test) for cell in cells]
    # Of several candidates the one with the best mean: which rate is best in each column is then not tested.
    best = [max(at.values(), key=lambda each: describe.mean(each.values.values()) or 0.0) for at in rates]
    seeds = {frozenset(at.values) for at in best}
    if len(seeds) > 1:
        return {"untestable": "other seeds in other columns"}
    averages = {seed: _mean_of_all([at.values[seed] for at in best]) for seed in best[0].values}
    sample = Sample.of(averages)
    if sample is None:
        return {"untestable": "no seed has a value in every column"}
    pairs = {cell.seeds for cell in cells}
    return {
        "candidates": (
            Candidate(
                label=label,
                sample=sample,
                pairs=pairs.pop() if len(pairs) == 1 else None,
                collapsed=sum(at.collapsed for at in best),
                diverged=sum(at.diverged for at in best),
                choices=max(map(len, rates)),
            ),
        )
    }


def _mean_of_all(values: Sequence[float | None]) -> float | None:
    """Average a seed's values over the columns; None where one is missing: over fewer columns it is another number."""
    return describe.mean(values) if len(describe.finite(values)) == len(values) else None


def printed_average(row: Row, view: View, label: str) -> dict[str, Any]:
    """Return the one candidate of a printed average, or why it has none.

    The deviation beside it, if any, is a mean of deviations and not that of averages, so its error comes from its columns:
    tasks are trained apart, and columns of one task, which are scored on the same runs, are taken to move together.
    """
    theirs = row.average.published if row.average else None
    if theirs is None or theirs.shown is None:
        return {"untestable": NOTHING}
    samples: dict[int, list[Sample]] = {}
    for cell in row.cells:
        (candidate,) = ({} if cell is None else printed(cell, view, label)).get("candidates", (None,))
        if cell is None or candidate is None or candidate.sample.deviation is None:
            return {"untestable": AVERAGED}
        samples.setdefault(cell.task_entry, []).append(candidate.sample)
    error = math.hypot(*(math.fsum(each.error for each in of) for of in samples.values())) / len(row.cells)
    n = min(each.n for of in samples.values() for each in of)
    choices = max(len(cell.by_rate) for cell in row.cells if cell is not None)
    # As many degrees of freedom as one column has: fewer than the average has, which errs on the safe side.
    sample = Sample(theirs.shown, error * math.sqrt(n), n)
    return {
        "candidates": (
            Candidate(label, sample, choices=max(choices, 1) if view.select == "best learning rate by mean" else 1),
        )
    }
