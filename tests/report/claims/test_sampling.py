"""Which samples a cell stands for: the rate that held-out examples choose, else every rate; averages by seed; printed ones."""

from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import summary
from peftcli.report.claims.evidence import AVERAGE, Number
from peftcli.report.claims.gathering import gather
from tests.report.claims.cases import empty
from tests.written_records import fill, runs, small, unsynced, write


def numbers(recipe: Recipe, output: Path, by_test: bool = False) -> list[Number]:
    return list(gather([summary.summarise(recipe, output, False).table], printed=False, by_test=by_test).numbers)


def test_every_rate_is_a_candidate_where_nothing_is_held_out(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["layernorm"])
    fill(recipe, tmp_path, lambda run: 0.5 + run.learning_rate * 100 + run.seed / 100)
    (number,) = numbers(recipe, tmp_path)
    assert [(each.label, each.pairs, each.choices) for each in number.candidates] == [
        ("layernorm 1e-4", frozenset({0, 1, 2}), 1),
        ("layernorm 1e-3", frozenset({0, 1, 2}), 1),
    ]
    assert number.candidates[1].sample.values == pytest.approx({0: 60.0, 1: 61.0, 2: 62.0})
    assert number.candidates[1].sample.deviation == pytest.approx(1.0), "of the sample, whatever the table's divisor"


def test_held_out_examples_choose_one_candidate_also_where_the_table_shows_the_best_by_test(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["layernorm"], training={"validation_share": 0.1, "restore_best": True})
    with unsynced():
        for run in runs(recipe):
            test, held_out = (0.7, 0.4) if run.learning_rate == 1e-3 else (0.5, 0.5)
            write(tmp_path, run, {"validation": {"accuracy": held_out}, "test": {"accuracy": test + run.seed / 100}})
    (number,) = numbers(recipe, tmp_path)
    assert number.mean == pytest.approx(71.0), "what the table shows"
    assert [each.label for each in number.candidates] == ["layernorm 1e-4"]
    (by_test,) = numbers(recipe, tmp_path, by_test=True)
    assert [each.label for each in by_test.candidates] == ["layernorm 1e-4", "layernorm 1e-3"]
    validated = recipe.model_copy(update={"table": {"select": "best learning rate by validation"}})
    (chosen,) = numbers(validated, tmp_path)
    assert [each.label for each in chosen.candidates] == ["layernorm 1e-4"]


def test_missing_runs_leave_no_candidate_and_a_rate_that_diverged_is_none(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["layernorm"])
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 100)
    (last,) = runs(recipe, learning_rate=1e-3, seed=2)
    file = write(tmp_path, last, {}, "diverged")
    (number,) = numbers(recipe, tmp_path)
    assert [each.label for each in number.candidates] == ["layernorm 1e-4"], "the other lost a seed"
    file.unlink()
    (number,) = numbers(recipe, tmp_path)
    assert (number.candidates, number.untestable) == ((), "runs are missing")
    for run in runs(recipe):
        write(tmp_path, run, {}, "diverged")
    (number,) = numbers(recipe, tmp_path)
    assert (number.candidates, number.untestable) == ((), "no run left a number")


def test_an_average_is_each_seeds_mean_over_the_columns(tmp_path: Path) -> None:
    recipe = small(strategies=["layernorm"], learning_rates=[1e-3], table={"average": True})
    fill(recipe, tmp_path, lambda run: 0.5 + (run.task == "cola") / 10 + run.seed**2 / 100)
    average = next(number for number in numbers(recipe, tmp_path) if number.key == AVERAGE)
    (candidate,) = average.candidates
    assert candidate.sample.values == pytest.approx({0: 55.0, 1: 56.0, 2: 59.0})
    assert (candidate.pairs, candidate.choices) == (frozenset({0, 1, 2}), 1)
    several = small(strategies=["layernorm"], table={"average": True})
    fill(several, tmp_path / "several", lambda run: 0.5 + run.seed / 100)
    average = next(number for number in numbers(several, tmp_path / "several") if number.key == AVERAGE)
    assert average.candidates[0].choices == 2, "the best of two rates in each column, uncorrected"
    uneven = small(
        strategies=["layernorm"], learning_rates=[1e-3], table={"average": True}, tasks=["rte", {"cola": {"seeds": 2}}]
    )
    fill(uneven, tmp_path / "uneven", lambda run: 0.5)
    average = next(number for number in numbers(uneven, tmp_path / "uneven") if number.key == AVERAGE)
    assert average.untestable == "other seeds in other columns"


@pytest.mark.parametrize(("pairs", "paired"), [(None, True), (True, True), (False, False)])
def test_a_recipe_says_whether_seeds_pair(tmp_path: Path, pairs: bool | None, paired: bool) -> None:
    recipe = small(tasks=["rte"], strategies=["layernorm"], learning_rates=[1e-3], table={"pairs": pairs})
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 100)
    (number,) = numbers(recipe, tmp_path)
    assert (number.candidates[0].pairs is not None) == paired


def test_printed_cells_have_their_deviation_their_n_and_the_rates_that_were_tried() -> None:
    cells = gather([empty("transferability/table2")], printed=True).numbers
    layernorm = next(number for number in cells if (number.label, number.column) == ("LayerNorms", "ptb"))
    (candidate,) = layernorm.candidates
    # Printed with the divisor n, which the table says: times the root of 3/2.
    assert layernorm.std is not None
    assert candidate.sample.deviation == pytest.approx(layernorm.std * 1.5**0.5)
    assert (candidate.sample.n, candidate.choices, candidate.pairs) == (3, 7, None)
    maxima = gather([empty("spafit/table2")], printed=True).numbers
    assert {number.untestable for number in maxima} == {"maxima"}


def test_a_printed_average_has_the_error_of_its_columns_and_not_the_deviation_beside_it() -> None:
    table = empty("effectiveness/table1")
    average = next(n for n in gather([table], printed=True).numbers if n.key == AVERAGE and n.label == "FullTuning")
    (candidate,) = average.candidates
    stds = [cell.published.std for cell in table.rows[0].cells if cell is not None and cell.published is not None]
    # Seven tasks apart, their deviations of ten runs with the divisor n.
    error = sum((std or 0) ** 2 / 9 for std in stds) ** 0.5 / 7
    assert (candidate.sample.mean, candidate.sample.n) == (average.mean, 10)
    assert candidate.sample.error == pytest.approx(error)
    assert candidate.sample.deviation is not None
    assert average.std is not None
    assert candidate.sample.deviation < average.std / 2
    glue = empty("transferability/table1")
    full = next(n for n in gather([glue], printed=True).numbers if n.key == AVERAGE and n.label == "Full-FT")
    by_column = {
        cell.column: (cell.published.std or 0) / 2**0.5 for cell in glue.rows[0].cells if cell and cell.published
    }
    # MNLI's two columns are the same runs.
    together = by_column.pop("mnli_matched") + by_column.pop("mnli_mismatched")
    wanted = (sum(each**2 for each in by_column.values()) + together**2) ** 0.5 / 9
    assert full.candidates[0].sample.error == pytest.approx(wanted)
