"""Differences from the reference are scipy's t tests over the same values: paired as the recipe says, never as the data do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from peftcli.report.table import differences
from peftcli.report.table.differences import Difference
from tests.welch import welch
from tests.written_records import fill, runs, score_of, small, tabulate, unsynced, write

TABLE = {"reference": "full"}
HELD_OUT = {"training": {"validation_share": 0.1}}
RATES_AS_ROWS = {"rows": ["strategy", "learning_rate"], "select": "every learning rate", **TABLE}


def compared(recipe: Recipe, output: Path) -> list[Difference]:
    grid = differences.from_reference(tabulate(recipe, output))
    assert grid is not None
    return [difference for row in grid for difference in row if difference is not None]


def notes(recipe: Recipe, output: Path) -> list[str]:
    table = tabulate(recipe, output)
    grid = differences.from_reference(table)
    assert grid is not None
    return list(differences.notes(table, grid))


def scores(recipe: Recipe, **wanted: object) -> list[float]:
    return [100 * score_of(run) for run in runs(recipe, **wanted)]


def test_equal_seeds_are_tested_in_pairs(tmp_path: Path) -> None:
    recipe = small(seeds=7, learning_rates=[1e-3], table=TABLE)
    fill(recipe, tmp_path, score_of)
    grid = differences.from_reference(tabulate(recipe, tmp_path))
    assert grid is not None
    assert grid[0] == (None, None), "the reference itself"
    for difference, task in zip(grid[1], ("rte", "cola"), strict=True):
        assert difference is not None
        ours = difference.contrast
        theirs = stats.ttest_rel(*(scores(recipe, task=task, strategy=s) for s in ("layernorm", "full")))
        assert ours.p_value() == pytest.approx(theirs.pvalue)
        assert ours.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)))
        assert ours.estimate == pytest.approx(np.mean(theirs.confidence_interval(0.95)))
    assert notes(recipe, tmp_path) == [
        "Differences from full with the two-sided p of Student's t over seeds, and the 95 % interval below; paired where "
        "the recipe plans the same seeds for both, else Welch's. Not corrected for the 2 comparisons: paired t over 7 pairs."
    ]


@pytest.mark.parametrize("seeds", [[5, 6, 7, 8], [0, 1, 2, 3]])
def test_other_planned_seeds_are_tested_by_welch_even_where_the_same_ones_ended(
    tmp_path: Path, seeds: list[int]
) -> None:
    strategies = ["full", {"layernorm": {"seeds": seeds}}]
    recipe = small(tasks=["rte"], learning_rates=[1e-3], strategies=strategies, table=TABLE)
    fill(recipe, tmp_path, score_of)
    if seeds[0] == 0:  # then both have seeds 0 to 2
        next(tmp_path.glob(f"rte/layernorm-{runs(recipe, strategy='layernorm')[3].id}.json")).unlink()
    (difference,) = compared(recipe, tmp_path)
    ended = [100 * score_of(run) for run in runs(recipe, strategy="layernorm")][: 3 if seeds[0] == 0 else 4]
    assert (difference.contrast.test, difference.contrast.n) == ("Welch's t", f"{len(ended)} and 3")
    assert difference.contrast.p_value() == pytest.approx(welch(ended, scores(recipe, strategy="full")).p_value)


def test_a_missing_run_unpairs_no_other(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], seeds=6, table=TABLE)
    fill(recipe, tmp_path, score_of)
    next(tmp_path.glob(f"rte/full-{runs(recipe, strategy='full')[2].id}.json")).unlink()
    (difference,) = compared(recipe, tmp_path)
    ours, theirs = ([100 * score_of(r) for r in runs(recipe, strategy=s) if r.seed != 2] for s in ("layernorm", "full"))
    assert (difference.contrast.test, difference.contrast.n) == ("paired t", "5 pairs")
    assert difference.contrast.p_value() == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert difference.contrast.estimate == pytest.approx(np.mean(ours) - np.mean(theirs)), "of the pairs"


@pytest.mark.parametrize(
    ("seeds", "value", "why"),
    [
        (2, score_of, "fewer than 3 seeds"),
        (4, lambda run: 0.5 + run.seed / 10 + (run.strategy == "full") / 7, "no variance"),
    ],
)
def test_there_is_no_p_where_there_is_no_test(
    tmp_path: Path, seeds: int, value: Callable[[Run], float], why: str
) -> None:
    recipe = small(learning_rates=[1e-3], seeds=seeds, table=TABLE)
    fill(recipe, tmp_path, value)
    for difference in compared(recipe, tmp_path):
        assert (difference.contrast.why_not, difference.contrast.p_value()) == (why, None)
        assert np.isfinite(difference.contrast.estimate)
    assert notes(recipe, tmp_path) == ["Differences from full, without a test.", f"No p: {why} (everywhere)."]


def test_where_no_seed_ended_on_both_sides_the_means_are_compared_without_a_test(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], seeds=6, table=TABLE)
    fill(recipe, tmp_path, score_of)
    for strategy, lost in (("full", (0, 1, 2)), ("layernorm", (3, 4, 5))):
        for seed in lost:
            next(tmp_path.glob(f"rte/{strategy}-{runs(recipe, strategy=strategy)[seed].id}.json")).unlink()
    (difference,) = compared(recipe, tmp_path)
    ours, theirs = scores(recipe, strategy="layernorm")[:3], scores(recipe, strategy="full")[3:]
    assert difference.contrast.estimate == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert difference.contrast.why_not == "no seed in common"


@pytest.mark.parametrize(("seeds", "tested"), [(9, False), (10, True)])
def test_a_collapsed_run_among_few_takes_the_p_away_and_stays_in_the_mean(
    tmp_path: Path, seeds: int, tested: bool
) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], seeds=seeds, table=TABLE)
    fill(recipe, tmp_path, score_of)
    one = runs(recipe, strategy="layernorm")[4]
    with unsynced():
        write(tmp_path, one, {"validation": {"accuracy": 0.5, "collapsed": True}})
    (difference,) = compared(recipe, tmp_path)
    values = [50.0 if run == one else 100 * score_of(run) for run in runs(recipe, strategy="layernorm")]
    assert difference.contrast.estimate == pytest.approx(np.mean(values) - np.mean(scores(recipe, strategy="full")))
    assert (difference.contrast.p_value() is not None) == tested
    assert ("No p: a collapsed run among fewer than 10 seeds (everywhere)." in notes(recipe, tmp_path)) != tested


def test_the_best_of_several_reference_rows_is_compared_with_and_said(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], table=RATES_AS_ROWS)
    fill(recipe, tmp_path, score_of)
    means = {rate: np.mean(scores(recipe, strategy="full", learning_rate=rate)) for rate in (1e-4, 1e-3)}
    for difference, rate in zip(compared(recipe, tmp_path), (1e-4, 1e-3), strict=True):
        ours = np.mean(scores(recipe, task="rte", strategy="layernorm", learning_rate=rate))
        assert difference.contrast.estimate == pytest.approx(ours - max(means.values()))
    _, rows, flattery = notes(recipe, tmp_path)
    assert rows == "full has up to 2 rows in a column: compared with the best, by the mean that is shown."
    assert flattery.startswith("Learning rates were chosen on the numbers that are compared")


def test_a_reference_row_chosen_by_held_out_examples_flatters_nobody(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], table=RATES_AS_ROWS, **HELD_OUT)
    with unsynced():
        for run in runs(recipe):
            low = run.learning_rate == 1e-4
            held_out, test = (0.9, 0.6) if low else (0.5, 0.7)
            write(
                tmp_path, run, {"validation": {"accuracy": held_out}, "test": {"accuracy": test + score_of(run) / 50}}
            )
    for difference in compared(recipe, tmp_path):
        assert difference.reference.learning_rate == 1e-4, "the test split would choose 1e-3"
        assert not difference.flattered
    assert notes(recipe, tmp_path)[1:] == [
        "full has up to 2 rows in a column: compared with the best, its learning rate chosen by held-out examples."
    ]


def test_rates_chosen_within_cells_on_what_is_shown_flatter(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], table=TABLE)
    fill(recipe, tmp_path, score_of)
    assert "Learning rates were chosen on the numbers that are compared" in notes(recipe, tmp_path)[1]


def test_imported_runs_are_never_paired(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], table=TABLE)
    fill(recipe, tmp_path, score_of)
    full, layernorm = tabulate(recipe, tmp_path).cells()
    difference = differences.compare(replace(layernorm, sources=("others",)), [full])
    assert difference is not None
    assert difference.contrast.test == "Welch's t"


def test_no_reference_no_differences(tmp_path: Path) -> None:
    assert differences.from_reference(tabulate(small(), tmp_path)) is None
    assert differences.from_reference(tabulate(small(table={"reference": "bitfit"}), tmp_path)) is None
    grid = differences.from_reference(tabulate(small(table=TABLE), tmp_path))
    assert grid == ((None, None), (None, None)), "no run, no difference"
