"""How often a tested answer is wrong, on made tables whose true means are stated: `python -m tests.benchmarks.verdicts`.

Every table stands on a boundary. Where a check joins several statements, the others are plainly true (or false, where as
many as are needed are true), by four deviations, and one is just not decided: there both `supported` and `contradicted`
are errors. The claims' own code answers, as it would for a recipe. The counts go into results/bench/verdicts.json, and from
there into docs/statistics.md (`tests.benchmarks.verdict_tables`). It takes about twenty minutes of one core.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.random import Generator

from peftcli import files
from peftcli.report.claims import spec
from peftcli.report.claims.evidence import Candidate, Evidence, Number
from peftcli.report.claims.tested import registry
from peftcli.report.statistics import against_printed, describe
from peftcli.report.statistics.contrast import ALPHA, Sample
from peftcli.report.table import ties

FAR = 4.0  # deviations by which a statement is plainly true or false
COLLAPSED = -20.0  # the value of a run that answers the same for every example
COUNTS = Path(__file__).parents[2] / "results" / "bench" / "verdicts.json"
Means = list[list[float]]
Draw = Callable[[Generator, tuple[int, ...]], "numpy.ndarray"]

# Each of mean 0 and deviation 1.
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "skewed": lambda random, shape: 1 - random.exponential(size=shape),
    "heavy tails": lambda random, shape: random.standard_t(5, size=shape) / math.sqrt(5 / 3),
}


@dataclass(frozen=True)
class Design:
    """How many seeds the first row has, and how many the others; the others' deviations, every second one, are `ratio`."""

    n: int
    others: int
    ratio: float = 1.0

    @property
    def name(self) -> str:
        """The design in words."""
        seeds = str(self.n) if self.n == self.others else f"{self.n}, {self.others}"
        return seeds if self.ratio == 1 else f"{seeds}, 1:{self.ratio:g}"

    def deviation(self, row: int) -> float:
        """A row's true deviation."""
        return self.ratio if row % 2 else 1.0


SEEDS = ((3, 3), (5, 5), (10, 10), (3, 10))
EQUAL = [Design(*seeds) for seeds in SEEDS]
DESIGNS = [*EQUAL, *(Design(*seeds, 4.0) for seeds in SEEDS)]


@dataclass(frozen=True)
class Scenario:
    """A check and the true means it is answered on, [rows, columns], in the larger deviation.

    `rates` is how many learning rates the first row has, all with its means; `paired` the share of a value's variance
    that the runs of one seed have in common; `collapse` the probability that a run of either row collapses.
    """

    name: str
    check: Mapping[str, Any]
    means: Means
    rates: int = 1
    paired: float = 0.0
    collapse: float = 0.0
    tables: float = 1.0  # the part of the usual number of tables, where seven columns of ten rows take long
    widely: bool = False  # on skewed values and on heavy tails too


def rows(*means: float, columns: int = 1) -> Means:
    """The same means in every column."""
    return [[mean] * columns for mean in means]


PAIR = {"strategies": "s0", "than": "s1"}
SCENARIOS = [
    Scenario("better", {"kind": "better", **PAIR}, rows(0, 0), widely=True),
    Scenario("better, by pairs", {"kind": "better", **PAIR}, rows(0, 0), paired=0.5, widely=True),
    Scenario("better in 7 columns, true in 6", {"kind": "better", **PAIR}, [[0, *[FAR] * 6], [0] * 7]),
    Scenario("better in 7 columns, equal in all", {"kind": "better", **PAIR}, rows(0, 0, columns=7), widely=True),
    Scenario(
        "better, any of 3, false of 2",
        {"kind": "better", "strategies": ["s0", "s1", "s2"], "than": "s3", "take": "any"},
        rows(0, -FAR, -FAR, 0),
    ),
    Scenario("better, best of 3 rates against 1", {"kind": "better", **PAIR}, rows(0, 0), rates=3),
    Scenario("better, best of 7 rates against 1", {"kind": "better", **PAIR}, rows(0, 0), rates=7, widely=True),
    Scenario("better, a run in 5 collapses", {"kind": "better", **PAIR}, rows(0, 0), collapse=0.2),
    Scenario("within 1 point", {"kind": "within", **PAIR, "points": 1.0}, rows(-1, 0)),
    Scenario("order of 4", {"kind": "order", "strategies": ["s0", "s1", "s2", "s3"]}, rows(FAR, 0, 0, -FAR)),
    Scenario("best of 10, level with one", {"kind": "best", "among": "s0"}, rows(0, 0, *[-FAR] * 8)),
    Scenario("best of 10, all equal", {"kind": "best", "among": "s0"}, rows(*[0] * 10), widely=True),
    Scenario("worst of 10, level with one", {"kind": "worst", "among": "s0"}, rows(0, 0, *[FAR] * 8)),
    Scenario(
        "top 3 of 10, level with the third",
        {"kind": "top", "strategy": "s0", "places": 3, "at_least": 1},
        rows(0, FAR, FAR, 0, *[-FAR] * 6),
    ),
    Scenario(
        "top 3 of 10 in 4 of 7 columns, 3 true and 3 false",
        {"kind": "top", "strategy": "s0", "places": 3, "at_least": 4},
        [[0, *[3 * FAR] * 3, *[-FAR] * 3], *rows(FAR, 2 * FAR, 0, columns=7), *rows(*[-2 * FAR] * 6, columns=7)],
        tables=0.2,
    ),
    Scenario(
        "times best: in 3 of 7 columns, level in a fourth",
        {"kind": "times best", "times": {"s0": 3}},
        [[0, *[FAR] * 3, *[-FAR] * 3], *rows(0, *[-2 * FAR] * 3, columns=7)],
        tables=0.2,
    ),
    Scenario(
        "how many: 5 of 9, 4 true and 4 false",
        {"kind": "how many", "than": "s9", "at_least": 5, "strategies": [f"s{row}" for row in range(9)]},
        rows(0, *[FAR] * 4, *[-FAR] * 4, 0),
    ),
    Scenario(
        "how many: 5 of 9, 4 true and 5 level",
        {"kind": "how many", "than": "s9", "at_least": 5, "strategies": [f"s{row}" for row in range(9)]},
        rows(0, *[FAR] * 4, *[0] * 4, 0),
    ),
    Scenario("mostly: 4 of 7, 3 true and 3 false", {"kind": "mostly", "strategy": "s0", "than": "s1"},
             [[0, *[FAR] * 3, *[-FAR] * 3], [0] * 7]),
    Scenario("welch, lower", {"kind": "welch", **PAIR, "is": "lower"}, rows(0, 0)),
    Scenario("welch, different", {"kind": "welch", **PAIR, "is": "different"}, rows(0, 0)),
    Scenario("welch, not different by 1", {"kind": "welch", **PAIR, "is": "not different", "margin": 1.0}, rows(1, 0),
             widely=True),
    Scenario(
        "descends over 4 columns, level once",
        {"kind": "descends", "on": [f"c{column}" for column in range(4)]},
        [[FAR, 0, 0, -FAR]],
    ),
]  # fmt: skip


def values(scenario: Scenario, design: Design, draw: Draw, random: Generator, tables: int) -> "numpy.ndarray":
    """Draw every run of some tables: [tables, rows, columns, rates, seeds]; NaN beyond the seeds a row has.

    Means are in the larger deviation, but beside a margin, which is in the smaller one as the check has it.
    """
    rows_, columns = len(scenario.means), len(scenario.means[0])
    seeds = max(design.n, design.others)
    drawn = draw(random, (tables, rows_, columns, scenario.rates, seeds))
    if scenario.paired:
        common = draw(random, (tables, 1, columns, 1, seeds))
        drawn = math.sqrt(scenario.paired) * common + math.sqrt(1 - scenario.paired) * drawn
    margin = "points" in scenario.check or "margin" in scenario.check
    unit = 1.0 if margin else max(1.0, design.ratio)
    for row in range(rows_):
        means = unit * numpy.array(scenario.means[row])
        drawn[:, row] = drawn[:, row] * design.deviation(row) + means[:, None, None]
        if row and scenario.rates > 1:
            drawn[:, row, :, 1:] = math.nan  # the other rows have one rate
        drawn[:, row, :, :, design.n if row == 0 else design.others :] = math.nan
    if scenario.collapse:
        drawn[random.random(drawn.shape) < scenario.collapse] = COLLAPSED
        drawn[:, 0, :, :, design.n :] = math.nan
    return drawn


def evidence(scenario: Scenario, table: "numpy.ndarray") -> Evidence:
    """The evidence that one made table is to a claim: [rows, columns, rates, seeds]."""
    return Evidence(
        tuple(
            _number(row, column, table[row, column].tolist(), bool(scenario.paired))
            for row in range(table.shape[0])
            for column in range(table.shape[1])
        )
    )


def _number(row: int, column: int, rates: list[list[float]], paired: bool) -> Number:
    candidates = []
    for rate in rates:
        by_seed = {seed: value for seed, value in enumerate(rate) if not math.isnan(value)}
        sample = Sample.of(by_seed)
        if sample is not None:
            collapsed = sum(value == COLLAPSED for value in by_seed.values())
            candidates.append(Candidate(f"s{row}", sample, frozenset(by_seed) if paired else None, collapsed))
    mean = describe.mean([each.sample.mean for each in candidates])
    name = f"c{column}"
    return Number(
        table=0,
        row=row,
        label=f"s{row}",
        column_label=name,
        strategy=f"s{row}",
        options={},
        setting={},
        column=name,
        metric="accuracy",
        mean=mean,
        std=None,
        n=None,
        ddof=1,
        values={},
        decimals=2,
        candidates=tuple(candidates),
    )


@dataclass(frozen=True)
class Count:
    """How many of some made tables came out so; a check has two ways of being wrong, a mark has one."""

    scenario: str
    design: str
    distribution: str
    tables: int
    supported: int
    contradicted: int | None = None


def answered(scenario: Scenario, design: Design, distribution: str, tables: int, seed: int = 0) -> Count:
    """Answer a scenario's check on made tables."""
    tables = round(tables * scenario.tables)
    random = describe.generator(seed, f"{scenario.name} {design.name} {distribution}")
    check = spec.KINDS[str(scenario.check["kind"])].options.model_validate(dict(scenario.check))
    drawn = values(scenario, design, DISTRIBUTIONS[distribution], random, tables)
    answers = [registry.test(check, evidence(scenario, table)).answer for table in drawn]
    return Count(
        scenario.name, design.name, distribution, tables, answers.count("supported"), answers.count("contradicted")
    )


def power(deviations: float, design: Design, tables: int) -> Count:
    """Count the tables in which a strategy so many (larger) deviations above another is shown to be better."""
    scenario = Scenario(f"power at {deviations:g}", {"kind": "better", **PAIR}, rows(deviations, 0))
    return answered(scenario, design, "normal", tables)


def told_apart(design: Design, distribution: str, tables: int, worst: float = 0.0) -> Count:
    """Count the tables of ten equal rows in which one is outside the best's tie group; or the last, `worst` below."""
    random = describe.generator(0, f"ties {design.name} {distribution} {worst:g}")
    drawn = values(Scenario("ties", {}, rows(*[0] * 9, 0)), design, DISTRIBUTIONS[distribution], random, tables)
    drawn[:, 9] -= worst * max(1.0, design.ratio)
    any_apart = last_apart = 0
    for table in drawn[:, :, 0, 0]:
        samples = [Sample.of({seed: v for seed, v in enumerate(row) if not math.isnan(v)}) for row in table.tolist()]
        group = ties.group([sample for sample in samples if sample is not None])
        any_apart += False in group
        last_apart += group[9] is False
    name = f"worst of ten at {worst:g}" if worst else "tie groups, ten equal"
    return Count(name, design.name, distribution, tables, last_apart if worst else any_apart)


def marked(design: Design, distribution: str, tables: int) -> Count:
    """Count the printed means of the same distribution that are marked as other than ours; their divisor is not stated."""
    random = describe.generator(0, f"marked {design.name} {distribution}")
    draw = DISTRIBUTIONS[distribution]
    ours, theirs = draw(random, (tables, design.n)), draw(random, (tables, design.others))
    count = 0
    for one, other in zip(ours.tolist(), theirs.tolist(), strict=True):
        sample = Sample.of(dict(enumerate(one)))
        assert sample is not None
        mean, deviation = round(float(numpy.mean(other)), 2), round(float(numpy.std(other, ddof=1)), 2)
        p_value = against_printed.p_value(sample, mean, deviation, len(other), None, 0.005, 0.005)
        count += p_value is not None and p_value <= ALPHA
    return Count("marked ‡", design.name, distribution, tables, count)


def counts(tables: int) -> Iterator[Count]:
    """Simulate everything that docs/statistics.md tells."""
    for distribution in DISTRIBUTIONS:
        normal = distribution == "normal"
        for design in DESIGNS if normal else EQUAL:
            for scenario in SCENARIOS:
                if normal or scenario.widely:
                    yield answered(scenario, design, distribution, tables)
            yield told_apart(design, distribution, tables)
            if design.ratio == 1:  # runs of one strategy have one deviation, ours and theirs
                yield marked(design, distribution, tables)
    for design in DESIGNS:
        for deviations in (1.0, 2.0, FAR):
            yield power(deviations, design, tables)
            yield told_apart(design, "normal", tables, deviations)


def main() -> None:
    """Simulate, and keep the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=5000, help="made tables of each kind")
    parser.add_argument("--to", type=Path, default=COUNTS, help="where the counts are kept")
    arguments = parser.parse_args()
    counted = []
    for count in counts(arguments.tables):
        counted.append(asdict(count))
        print(*asdict(count).values(), flush=True)
    files.write(arguments.to, json.dumps(counted, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
