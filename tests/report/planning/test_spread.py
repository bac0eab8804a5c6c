"""How a pair varies: in pairs where planned seeds are the same, else as two samples; averages; and what has no deviation."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from peftcli.report.planning import spread
from peftcli.report.planning.basis import Basis
from peftcli.report.planning.spread import Spread
from peftcli.report.statistics import power
from tests.report.planning.studies import basis_of, number
from tests.written_records import fill, load, runs, score_of, small, write


def of(made: Basis, one: str, other: str, column: str) -> Spread | str:
    return spread.of_pair(number(made, one, column), number(made, other, column), made)


def test_printed_deviations_are_two_samples_whose_divisor_is_undone() -> None:
    # Table 1 on CoLA: full 54.7 ± 0.7, layernorm 52.8 ± 2.0, three seeds, the divisor taken as n.
    varies = of(basis_of(load("transferability/table1")), "layernorm", "full", "cola")
    assert isinstance(varies, Spread)
    deviations = 2.0 * math.sqrt(3 / 2), 0.7 * math.sqrt(3 / 2)
    assert varies.deviation == pytest.approx(deviations)
    assert varies.shown == pytest.approx(math.sqrt((deviations[0] ** 2 + deviations[1] ** 2) / 2))
    assert varies.error == pytest.approx(math.hypot(*deviations))
    assert varies.freedom == pytest.approx((4 + 0.49) ** 2 / (16 / 2 + 0.49**2 / 2))
    assert varies.source == "printed"
    # Table I of the freezing paper prints the sample's deviation: 1.4 and 1.7 stay as they are.
    varies = of(basis_of(load("freezing/table1")), "bitfit", "full", "cola")
    assert isinstance(varies, Spread)
    assert isinstance(varies.deviation, tuple)
    assert varies.deviation[1] == pytest.approx(1.7)


def test_records_of_the_same_seeds_are_compared_in_pairs(tmp_path: Path) -> None:
    recipe = small(seeds=6, tasks=["rte"], learning_rates=[1e-3])
    fill(recipe, tmp_path, score_of)
    varies = of(basis_of(recipe, tmp_path), "layernorm", "full", "rte")
    ours, theirs = ([100 * score_of(run) for run in runs(recipe, strategy=name)] for name in ("layernorm", "full"))
    assert isinstance(varies, Spread)
    assert varies.deviation == pytest.approx(float(np.std(np.subtract(ours, theirs), ddof=1)))
    assert (varies.freedom, varies.source) == (pytest.approx(5), "paired")
    assert varies.shown == varies.error == varies.deviation
    next(tmp_path.glob(f"rte/full-{runs(recipe, strategy='full')[1].id}.json")).unlink()
    fewer = of(basis_of(recipe, tmp_path), "layernorm", "full", "rte")
    assert isinstance(fewer, Spread)  # which test it is, the recipe says, not what is missing
    assert (fewer.freedom, fewer.source) == (pytest.approx(4), "paired")


def test_records_of_other_seeds_are_two_samples(tmp_path: Path) -> None:
    strategies = ["full", {"layernorm": {"seeds": [0, 1, 2, 7]}}]
    recipe = small(tasks=["rte"], learning_rates=[1e-3], strategies=strategies)
    fill(recipe, tmp_path, score_of)
    varies = of(basis_of(recipe, tmp_path), "layernorm", "full", "rte")
    sides = [[100 * score_of(run) for run in runs(recipe, strategy=name)] for name in ("layernorm", "full")]
    assert isinstance(varies, Spread)
    assert varies.deviation == pytest.approx(tuple(float(np.std(side, ddof=1)) for side in sides))
    assert varies.source == "records"


def test_imported_runs_are_never_paired(tmp_path: Path) -> None:
    recipe = small(seeds=4, tasks=["rte"], learning_rates=[1e-3])
    fill(recipe, tmp_path, score_of)
    made = basis_of(recipe, tmp_path)
    cells = {at: replace(cell, sources=("theirs",) * (cell.strategy == "full")) for at, cell in made.cells.items()}
    varies = of(replace(made, cells=cells), "layernorm", "full", "rte")
    assert isinstance(varies, Spread)
    assert varies.source == "records"


def test_of_one_side_alone_recorded_the_other_is_the_printed_one(tmp_path: Path) -> None:
    recipe = load("transferability/table1")
    for run in runs(recipe, strategy="full", task="cola"):
        write(tmp_path, run, {"validation": {"matthews": 0.5 + run.seed / 100}})
    varies = of(basis_of(recipe, tmp_path), "layernorm", "full", "cola")
    assert isinstance(varies, Spread)
    assert varies.deviation == pytest.approx((2.0 * math.sqrt(3 / 2), 1.0))
    assert varies.source == "both"


def test_a_printed_average_varies_as_the_mean_of_its_tasks() -> None:
    made = basis_of(load("transferability/table1"))
    varies = of(made, "layernorm", "full", "average")
    assert isinstance(varies, Spread)
    assert isinstance(varies.deviation, tuple)
    # Nine columns of eight tasks: MNLI's two are of the same runs, so theirs are added before they are squared.
    printed = {
        column: number(made, "full", column).std or 0.0
        for column in ("cola", "sst2", "mrpc", "stsb", "qqp", "qnli", "rte")
    }
    mnli = sum(number(made, "full", f"mnli_{side}").std or 0.0 for side in ("matched", "mismatched"))
    expected = math.sqrt(sum(std**2 for std in printed.values()) + mnli**2) / 9 * math.sqrt(3 / 2)
    assert varies.deviation[1] == pytest.approx(expected)


def test_a_recorded_average_varies_as_its_means_by_seed(tmp_path: Path) -> None:
    recipe = small(seeds=5, learning_rates=[1e-3], table={"average": True})
    fill(recipe, tmp_path, score_of)
    varies = of(basis_of(recipe, tmp_path), "layernorm", "full", "average")
    by_seed = [
        [np.mean([100 * score_of(run) for run in runs(recipe, strategy=name, seed=seed)]) for seed in range(5)]
        for name in ("layernorm", "full")
    ]
    assert isinstance(varies, Spread)
    assert varies.deviation == pytest.approx(float(np.std(np.subtract(*by_seed), ddof=1)))
    assert varies.freedom == pytest.approx(4)


def test_both_ends_are_those_of_the_deviation_s_interval() -> None:
    pair = Spread((3.0, 4.0), 2.5, "printed")
    low, high = pair.ends()
    assert (low.shown, high.shown) == pytest.approx(power.deviation_interval(pair.shown, 2.5))
    low, high = Spread(2.0, 9, "paired").ends()
    assert (low.deviation, high.deviation) == pytest.approx(power.deviation_interval(2.0, 9))


def test_what_has_no_deviation_says_why(tmp_path: Path) -> None:
    table1 = basis_of(load("transferability/table1"))
    assert of(table1, "bitfit", "full", "qnli") == "copied from another paper"
    assert of(table1, "bitfit", "full", "average") == "copied from another paper"
    assert of(basis_of(load("spafit/table2")), "bitfit", "full", "cola") == "a maximum has no deviation"
    recipe = small(tasks=["rte"], learning_rates=[1e-3])
    assert of(basis_of(recipe), "layernorm", "full", "rte") == "fewer than 3 seeds, and nothing printed"
    fill(recipe, tmp_path, lambda run: 0.5)
    assert of(basis_of(recipe, tmp_path), "layernorm", "full", "rte") == "no variance"
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 10 + (run.strategy == "full") / 100)
    assert of(basis_of(recipe, tmp_path), "layernorm", "full", "rte") == "no variance"  # of the differences
    micro = basis_of(load("transferability/table2"))
    ours, theirs = (
        next(n for n in micro.evidence.numbers if (n.strategy, n.metric) == (name, "f1_micro"))
        for name in ("layernorm", "full")
    )
    assert spread.of_pair(ours, theirs, micro) == "no variance"  # both are printed as 0.0
