"""By how much a pair of numbers varies over seeds, as far as records or a paper say, and how sure that is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from peftcli.report.claims.evidence import Number
from peftcli.report.planning.basis import Basis
from peftcli.report.statistics import contrast, describe, power
from peftcli.report.statistics.contrast import LEAST_SEEDS, Sample


@dataclass(frozen=True)
class Spread:
    """The deviation of a pair over seeds: of the paired differences, or of both sides where they are two samples.

    `freedom` are the degrees of freedom that it was estimated with; `source` says from what ("printed", "paired").
    """

    deviation: float | tuple[float, float]
    freedom: float
    source: str

    @property
    def shown(self) -> float:
        """One number for it, in the table's unit: of two samples the root of the mean square."""
        return power.root_mean_square(*self.deviation) if isinstance(self.deviation, tuple) else self.deviation

    @property
    def error(self) -> float:
        """The standard error of the difference times the root of the number of seeds: what makes a pair hard."""
        return math.hypot(*self.deviation) if isinstance(self.deviation, tuple) else self.deviation

    def ends(self) -> tuple["Spread", "Spread"]:
        """Return the spread at both ends of the deviation's 95 % interval."""
        low, high = (self._times(factor) for factor in power.deviation_interval(1.0, self.freedom))
        return low, high

    def _times(self, factor: float) -> "Spread":
        if isinstance(self.deviation, tuple):
            return Spread((self.deviation[0] * factor, self.deviation[1] * factor), self.freedom, self.source)
        return Spread(self.deviation * factor, self.freedom, self.source)


def of_pair(one: Number, other: Number, basis: Basis) -> Spread | str:
    """Return a pair's spread, or why there is none: of the differences seed by seed where both sides are ours."""
    if reason := _why_not(one, basis) or _why_not(other, basis):
        return reason
    mine, theirs = _by_seed(one, basis), _by_seed(other, basis)
    # The same planned seeds, none of them imported: a seed then controls the same thing on both sides of one task.
    seeds = {cell.seeds for number in (one, other) for cell in basis.cells_of(number)}
    same = (one.column, one.metric) == (other.column, other.metric) and len(seeds) == 1 and None not in seeds
    if mine is None or theirs is None or not same:
        return of_samples(one, other, basis)
    test = contrast.paired_t(_there(mine), _there(theirs))
    return test.why_not or Spread(test.error * math.sqrt(test.freedom + 1), test.freedom, "paired")


def of_samples(one: Number, other: Number, basis: Basis) -> Spread | str:
    """Return the spread of two numbers as samples that have nothing to do with each other, or why there is none."""
    if reason := _why_not(one, basis) or _why_not(other, basis):
        return reason
    sides = [_side(number, _by_seed(number, basis), basis) for number in (one, other)]
    from_records = [number.values is not None for number in (*basis.parts(one), *basis.parts(other))]
    source = "records" if all(from_records) else "both" if any(from_records) else "printed"
    spread = Spread((sides[0][0], sides[1][0]), power.pooled_freedom(sides), source)
    # Values of fractions that are equal differ in their last bits.
    return "no variance" if spread.shown < 10**-describe.DECIMALS else spread


def _why_not(number: Number, basis: Basis) -> str:
    """Say why a number has no deviation over seeds; "" where it has one."""
    if basis.tables[number.table].view.cell == "maximum":
        return "a maximum has no deviation"
    parts = basis.parts(number)
    row = basis.tables[number.table].rows[number.row].cells
    if number not in parts and any(cell is None for cell in row):
        return "an average over fewer columns"
    for part in parts:
        if part.copied:
            return "copied from another paper"
        if part.values is None and part.mean is not None and part.std is None:
            return "printed without a deviation"
        if part.values is None and part.n is None and part.mean is not None:
            return "printed without the number of runs"
        count = (part.n or 0) if part.values is None else len(describe.finite(part.values.values()))
        if count < LEAST_SEEDS:
            return f"fewer than {LEAST_SEEDS} seeds" + (
                ", and nothing printed" if part.values is not None else " printed"
            )
    return ""


def _by_seed(number: Number, basis: Basis) -> Mapping[int, float | None] | None:
    """Return a number's values by planned seed; of an average the means over its columns. None where not all are ours."""
    parts = [part.values for part in basis.parts(number)]
    first = parts[0]
    if first is None or any(part is None or part.keys() != first.keys() for part in parts):
        return None
    by_seed = {seed: [part[seed] for part in parts if part is not None] for seed in first}
    return {seed: describe.mean(of) if len(describe.finite(of)) == len(of) else None for seed, of in by_seed.items()}


def _side(number: Number, by_seed: Mapping[int, float | None] | None, basis: Basis) -> tuple[float, float]:
    """Return one side's sample deviation and its degrees of freedom."""
    sample = None if by_seed is None else Sample.of(by_seed)
    if sample is not None and sample.deviation is not None and sample.n >= LEAST_SEEDS:
        return sample.deviation, sample.n - 1
    # An average of columns that do not share their seeds, as printed ones: tasks are trained apart, so their deviations
    # are independent; columns of one task are the same runs, so there they are added as if they went all together.
    tasks: dict[int, list[tuple[float, float]]] = {}
    parts = basis.parts(number)
    for part in parts:
        deviation, freedom = _of_part(part)
        tasks.setdefault(basis.cells[id(part)].task_entry, []).append((deviation / len(parts), freedom))
    together = [(math.fsum(d for d, _ in of), min(freedom for _, freedom in of)) for of in tasks.values()]
    freedom = power.pooled_freedom(together)
    # Without any variance there is no freedom either: the least stands for it, and the other side decides.
    return math.hypot(*(deviation for deviation, _ in together)), min(f for _, f in together) if math.isnan(
        freedom
    ) else freedom


def _of_part(number: Number) -> tuple[float, float]:
    """Return the sample deviation of a number that is no average, and its degrees of freedom."""
    if number.values is not None:
        sample = Sample.of(number.values)
    else:
        assert number.mean is not None
        sample = Sample.printed(number.mean, number.std, number.n, number.ddof)
    assert sample is not None
    assert sample.deviation is not None
    return sample.deviation, sample.n - 1


def _there(by_seed: Mapping[int, float | None]) -> dict[int, float]:
    return {seed: value for seed, value in by_seed.items() if value is not None}
