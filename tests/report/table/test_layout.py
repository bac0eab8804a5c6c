"""The grid: rows and columns in the paper's order, and one strategy and task column a cell."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.report.table import layout, selection, spec
from peftcli.report.table.layout import Layout
from tests.written_records import small

NOWHERE = Path("nowhere")


def lay_out(recipe: Recipe) -> Layout:
    return layout.lay_out(recipe, spec.read(recipe), selection.outcomes(plan.expand(recipe), NOWHERE))


def test_table_4_has_a_row_for_each_n_and_two_columns_a_task() -> None:
    laid = lay_out(recipes.load(recipes.find("transferability/table4")))
    assert laid.rows == (("256",), ("64",), ("16",), ("4",))
    tasks = ("CoLA", "MRPC", "STS-B", "RTE")
    assert laid.columns == tuple((task, kind) for task in tasks for kind in ("Outlier", "Random"))
    cell = laid.cells[("16",), ("STS-B", "Random")]
    assert {(o.run.strategy, o.run.options["n"], o.run.task) for o in cell.outcomes} == {
        ("layernorm_random", 16, "stsb")
    }
    assert len(cell.outcomes) == 21, "seven learning rates, three seeds"


def test_one_mnli_run_fills_two_columns() -> None:
    laid = lay_out(recipes.load(recipes.find("transferability/table1")))
    assert [column[0] for column in laid.columns] == [
        "CoLA",
        "SST-2",
        "MRPC",
        "STS-B",
        "QQP",
        "MNLI_m",
        "MNLI_mm",
        "QNLI",
        "RTE",
    ]
    matched, mismatched = (laid.cells[("Full-FT",), (name,)] for name in ("MNLI_m", "MNLI_mm"))
    assert [o.run.id for o in matched.outcomes] == [o.run.id for o in mismatched.outcomes]
    assert (matched.column.split, mismatched.column.split) == ("validation_matched", "validation_mismatched")
    assert matched.first_split == mismatched.first_split == "validation_matched"


def test_learning_rates_stand_ascending_below_their_strategy() -> None:
    laid = lay_out(recipes.load(recipes.find("freezing/table1")))
    assert laid.rows[:4] == (("Full", "3e-5"), ("BitFit", "1e-4"), ("BitFit", "5e-4"), ("BitFit", "1e-3"))
    assert (("Random", "5e-4"), ("QNLI",)) not in laid.cells, "not planned"


def test_training_settings_make_columns() -> None:
    laid = lay_out(recipes.load(recipes.find("freezing/table2")))
    assert [column[0] for column in laid.columns][:2] == ["All (100%)", "5000 (58%)"]
    cell = laid.cells[("BitFit", "1e-3"), ("100 (1%)",)]
    assert cell.setting == {"train_size": 100, "learning_rate": 1e-3}
    assert {o.run.protocol.train_size for o in cell.outcomes} == {100}


def test_two_strategies_in_one_cell_are_refused() -> None:
    twice = small(
        strategies=[{"layernorm": {"layers": [1], "label": "L"}}, {"layernorm": {"layers": [2], "label": "L"}}]
    )
    with pytest.raises(UserError, match="several strategies or tasks fall into cell L / rte"):
        lay_out(twice)


def test_a_column_that_no_task_has_is_refused() -> None:
    with pytest.raises(UserError, match="unknown column 'rt': did you mean 'rte'"):
        lay_out(small(table={"tasks": ["rt"]}))
    with pytest.raises(UserError, match="unknown column 'mrpc'"):
        lay_out(small(table={"metrics": {"mrpc": "f1"}}))


def test_words_come_from_labels_options_and_rates() -> None:
    recipe = small(strategies=["full", {"layernorm": {"layers": [1, 2]}}], table={"labels": {"rte": "RTE"}})
    laid = lay_out(recipe)
    assert laid.rows == (("full",), ("layernorm:layers=1+2",))
    assert laid.columns == (("RTE",), ("cola",))
    assert [layout.rate_text(rate) for rate in (1e-4, 2.5e-5, 3e-5, 0.01, 1.0)] == [
        "1e-4",
        "2.5e-5",
        "3e-5",
        "1e-2",
        "1e0",
    ]
