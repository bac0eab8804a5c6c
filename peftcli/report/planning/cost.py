"""What one more seed of some numbers takes, by the records of their runs, or by a few timed steps."""

from collections.abc import Iterable, Mapping, Sequence

from peftcli.report import costs
from peftcli.report.claims.evidence import Number
from peftcli.report.planning.basis import Basis
from peftcli.report.statistics import describe
from peftcli.report.table.selection import Outcome

# A run but for its seed: what it has in common with its cohort, and its learning rate.
Unit = tuple[str, float]


def hours_of_a_seed(numbers: Iterable[Number], basis: Basis, timed: Mapping[str, float]) -> float | None:
    """Return the hours that one seed of all these numbers takes, at every learning rate that can be chosen.

    A run that several numbers are of counts once. `timed`: seconds a run by what a cohort's runs have in common, for
    those without any record. None where neither says what a run among them takes.
    """
    seconds: dict[Unit, float | None] = {}
    for number in {id(number): number for number in numbers}.values():
        for runs in basis.runs_of(number):
            seconds |= _of_a_seed(runs, timed)
    finite = describe.finite(seconds.values())
    return sum(finite) / 3600 if len(finite) == len(seconds) else None


def _of_a_seed(outcomes: Sequence[Outcome], timed: Mapping[str, float]) -> dict[Unit, float | None]:
    """Return the mean seconds of a run at each learning rate of a cell."""
    by_rate: dict[float, list[Outcome]] = {}
    for outcome in outcomes:
        by_rate.setdefault(outcome.run.learning_rate, []).append(outcome)
    means = {rate: describe.mean(costs.of_run(each.cost, "seconds") for each in of) for rate, of in by_rate.items()}
    key = outcomes[0].run.cohort_key()
    # A rate without a record takes what the others do: it does not change how long a run is.
    otherwise = describe.mean(means.values())
    otherwise = timed.get(key) if otherwise is None else otherwise
    return {(key, rate): otherwise if mean is None else mean for rate, mean in means.items()}
