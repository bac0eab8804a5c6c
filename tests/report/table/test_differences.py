"""Differences from the reference equal scipy's tests over the same values."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from peftcli.report.table import differences
from tests.written_records import fill, runs, score_of, small, tabulate

TABLE = {"reference": "full"}


def test_equal_seeds_are_tested_in_pairs(tmp_path: Path) -> None:
    recipe = small(seeds=7, learning_rates=[1e-3], table=TABLE)
    fill(recipe, tmp_path, score_of)
    grid = differences.from_reference(tabulate(recipe, tmp_path))
    assert grid is not None
    assert grid[0] == (None, None), "the reference itself"
    for difference, task in zip(grid[1], ("rte", "cola"), strict=True):
        ours, theirs = ([100 * score_of(r) for r in runs(recipe, task=task, strategy=s)] for s in ("layernorm", "full"))
        assert difference is not None
        assert difference.difference == pytest.approx(np.mean(ours) - np.mean(theirs))
        assert difference.test.p_value == pytest.approx(stats.wilcoxon(ours, theirs, method="exact").pvalue)


def test_other_seeds_are_tested_by_welch(tmp_path: Path) -> None:
    strategies = ["full", {"layernorm": {"seeds": [5, 6, 7, 8]}}]
    recipe = small(tasks=["rte"], learning_rates=[1e-3], strategies=strategies, table=TABLE)
    fill(recipe, tmp_path, score_of)
    grid = differences.from_reference(tabulate(recipe, tmp_path))
    assert grid is not None
    ours, theirs = ([100 * score_of(run) for run in runs(recipe, strategy=s)] for s in ("layernorm", "full"))
    assert grid[1][0] is not None
    assert grid[1][0].test.name == "Welch t"
    assert grid[1][0].test.p_value == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)


def test_a_missing_run_unpairs_no_other(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], seeds=6, table=TABLE)
    fill(recipe, tmp_path, score_of)
    lost = runs(recipe, strategy="full")[2]
    next(tmp_path.glob(f"rte/full-{lost.id}.json")).unlink()
    grid = differences.from_reference(tabulate(recipe, tmp_path))
    assert grid is not None
    assert grid[1][0] is not None
    test = grid[1][0].test
    ours, theirs = ([score_of(r) for r in runs(recipe, strategy=s) if r.seed != 2] for s in ("layernorm", "full"))
    assert (test.name, test.n) == ("Wilcoxon signed-rank", 5)
    assert test.p_value == pytest.approx(stats.wilcoxon(ours, theirs, method="exact").pvalue)


def test_the_best_of_several_reference_rows_is_compared_with(tmp_path: Path) -> None:
    table = {"rows": ["strategy", "learning_rate"], "select": "every learning rate", **TABLE}
    recipe = small(tasks=["rte"], table=table)
    fill(recipe, tmp_path, score_of)
    grid = differences.from_reference(tabulate(recipe, tmp_path))
    assert grid is not None
    means = [
        np.mean([100 * score_of(run) for run in runs(recipe, strategy="full", learning_rate=r)]) for r in (1e-4, 1e-3)
    ]
    difference = grid[2][0]
    assert difference is not None
    ours = np.mean([100 * score_of(run) for run in runs(recipe, task="rte", strategy="layernorm", learning_rate=1e-4)])
    assert difference.difference == pytest.approx(ours - max(means))


def test_no_reference_no_differences(tmp_path: Path) -> None:
    assert differences.from_reference(tabulate(small(), tmp_path)) is None
    assert differences.from_reference(tabulate(small(table={"reference": "bitfit"}), tmp_path)) is None
    grid = differences.from_reference(tabulate(small(table=TABLE), tmp_path))
    assert grid == ((None, None), (None, None)), "no run, no difference"


def test_the_notes_say_what_few_seeds_cannot_show(tmp_path: Path) -> None:
    recipe = small(table=TABLE)
    fill(recipe, tmp_path, score_of)
    table = tabulate(recipe, tmp_path)
    grid = differences.from_reference(table)
    assert grid is not None
    assert (
        list(differences.notes(table, grid))[1] == "With 3 seeds the smallest p that Wilcoxon's test can reach is 0.25."
    )
