"""Cells: every number of a cell equals numpy's over the same values; what is amiss with its runs is told."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.experiment.recipe import Recipe
from peftcli.report.table.table import Cell
from tests.written_records import fill, runs, score_of, small, tabulate, unsynced, write


def cells(recipe: Recipe, output: Path) -> dict[tuple[str, str], Cell]:
    table = tabulate(recipe, output)
    return {(cell.strategy, cell.column): cell for cell in table.cells()}


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_cell_is_the_mean_and_deviation_of_the_best_rate(tmp_path: Path, ddof: int) -> None:
    recipe = small(seeds=5, table={"ddof": ddof})
    fill(recipe, tmp_path, score_of)
    for (strategy, column), cell in cells(recipe, tmp_path).items():
        by_rate = {
            rate: [100 * score_of(run) for run in runs(recipe, strategy=strategy, task=column, learning_rate=rate)]
            for rate in recipe.learning_rates
        }
        best = max(recipe.learning_rates, key={rate: np.mean(scores) for rate, scores in by_rate.items()}.__getitem__)
        other = next(rate for rate in by_rate if rate != best)
        assert cell.learning_rate == best
        assert cell.mean == pytest.approx(np.mean(by_rate[best]), rel=1e-14)
        assert cell.std == pytest.approx(np.std(by_rate[best], ddof=ddof), rel=1e-12)
        assert cell.maximum == max(by_rate[best])
        assert cell.flattery == pytest.approx(np.mean(by_rate[best]) - np.mean(by_rate[other]), rel=1e-12)
        assert cell.by_rate == pytest.approx({rate: np.mean(scores) for rate, scores in by_rate.items()})
        assert (cell.n, cell.planned, cell.runs, cell.runs_planned, cell.state) == (5, 5, 10, 10, "complete")


def test_the_maximum_is_over_rates_and_seeds(tmp_path: Path) -> None:
    recipe = small(table={"cell": "maximum", "select": "every run", "scale": "fraction"})
    fill(recipe, tmp_path, score_of)
    for (strategy, column), cell in cells(recipe, tmp_path).items():
        scores = [score_of(run) for run in runs(recipe, strategy=strategy, task=column)]
        assert (cell.maximum, cell.mean, cell.std, cell.learning_rate) == (max(scores), None, None, None)
        assert (cell.n, cell.planned) == (6, 6)


def test_every_rate_can_have_a_row(tmp_path: Path) -> None:
    recipe = small(table={"rows": ["strategy", "learning_rate"], "select": "every learning rate"})
    fill(recipe, tmp_path, score_of)
    table = tabulate(recipe, tmp_path)
    assert [row.path for row in table.rows] == [(s, r) for s in ("full", "layernorm") for r in ("1e-4", "1e-3")]
    cell = table.rows[1].cells[0]
    assert cell is not None
    scores = [100 * score_of(run) for run in runs(recipe, strategy="full", task="rte", learning_rate=1e-3)]
    assert cell.mean == pytest.approx(np.mean(scores))
    assert cell.flattery is None, "nothing was chosen"


def test_what_is_amiss_is_counted_and_named(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=6)
    done, collapsed, diverged, failed, damaged, missing = runs(recipe)
    with unsynced():
        write(tmp_path, done, {"validation": {"accuracy": 0.7}})
        write(tmp_path, collapsed, {"validation": {"accuracy": 0.5, "collapsed": True}})
        write(tmp_path, diverged, {}, "diverged")
        write(tmp_path, failed, {}, "failed")
        write(tmp_path, damaged, {}).write_text("{")
    cell = cells(recipe, tmp_path)["full", "rte"]
    assert [cell.collapsed, cell.diverged, cell.failed, cell.damaged, cell.missing] == [
        (run.describe(),) for run in (collapsed, diverged, failed, damaged, missing)
    ]
    assert (cell.n, cell.planned, cell.runs, cell.runs_planned, cell.state) == (2, 6, 3, 6, "incomplete")
    assert cell.mean == pytest.approx(60)
    assert cell.mean_without_collapsed == pytest.approx(70)
    assert cell.std_without_collapsed is None, "of one run"
    assert cell.values == {0: pytest.approx(70), 1: pytest.approx(50), 2: None, 3: None, 4: None, 5: None}


def test_nothing_at_all_is_missing_not_zero(tmp_path: Path) -> None:
    cell = cells(small(), tmp_path)["full", "rte"]
    assert (cell.state, cell.mean, cell.std, cell.maximum, cell.learning_rate) == ("missing", None, None, None, None)
    assert (cell.n, cell.planned, len(cell.missing)) == (0, 3, 6)


def test_the_rate_is_chosen_once_for_all_columns_of_a_task(tmp_path: Path) -> None:
    recipe = small(tasks=["mnli"], strategies=["full"])
    with unsynced():
        for run in runs(recipe):
            low = run.learning_rate == 1e-4
            matched, mismatched = (0.8, 0.6) if low else (0.7, 0.9)
            scores = {"validation_matched": {"accuracy": matched}, "validation_mismatched": {"accuracy": mismatched}}
            write(tmp_path, run, scores)
    by_column = cells(recipe, tmp_path)
    assert {cell.learning_rate for cell in by_column.values()} == {1e-4}
    assert by_column["full", "mnli_mismatched"].mean == pytest.approx(60), (
        "not the 90 of a rate that matched did not choose"
    )


def test_a_held_out_part_chooses_where_the_view_says_so(tmp_path: Path) -> None:
    training = {"validation_share": 0.1}
    rule = "best learning rate by validation"
    recipe = small(tasks=["rte"], strategies=["full"], training=training, table={"select": rule})
    with unsynced():
        for run in runs(recipe):
            low = run.learning_rate == 1e-4
            write(tmp_path, run, {"validation": {"accuracy": 0.5 + low / 10}, "test": {"accuracy": 0.8 - low / 10}})
    cell = cells(recipe, tmp_path)["full", "rte"]
    assert (cell.learning_rate, cell.split, cell.flattery) == (1e-4, "test", None)
    assert cell.mean == pytest.approx(70)
    with pytest.raises(UserError, match="needs a protocol that holds validation examples out"):
        cells(small(table={"select": rule}), tmp_path)
