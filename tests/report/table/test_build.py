"""Tables: fed with the printed cells, each of the ten comes out as printed; averages, parameters and gaps are right."""

import csv
from pathlib import Path

import numpy as np
import pytest

from peftcli.report import parameters as parameter_rows
from peftcli.report.formats import text_table as sheet
from peftcli.report.table import build
from peftcli.report.table.table import Table
from tests.written_records import TABLES, fill, from_published, load, runs, small, tabulate, unsynced, write


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    tables = {}
    for name in TABLES:
        recipe, output = load(name), tmp_path_factory.mktemp("records")
        from_published(recipe, output)
        tables[name] = tabulate(recipe, output)
    return tables


@pytest.mark.parametrize("name", TABLES)
def test_every_printed_cell_comes_out_as_printed(tables: dict[str, Table], name: str) -> None:
    table = tables[name]
    view = table.view
    with open(load(name).path.with_suffix(".csv"), newline="") as stream:
        wanted = [row for row in csv.DictReader(stream) if row["task"] != "average"]
    cells = list(table.cells())
    by_printed = {id(cell.published): cell for cell in cells if cell.published is not None}
    assert len(cells) == len(by_printed) == len(wanted), "each printed cell has its place, and none is used twice"
    for cell in cells:
        assert cell.published is not None
        assert cell.state == "complete"
        assert f"{cell.shown:.{view.decimals}f}" == f"{cell.published.shown:.{view.decimals}f}"
        if cell.published.std is not None:
            assert f"{cell.std:.{view.decimals}f}" == f"{cell.published.std:.{view.decimals}f}"
            assert cell.differs is (None if cell.published.copied_from else False)
        assert cell.difference is None if cell.published.copied_from else abs(cell.difference or 0) < 1e-9


@pytest.mark.parametrize("name", TABLES)
def test_against_the_paper_there_is_no_difference(tables: dict[str, Table], name: str) -> None:
    lines = sheet.make(tables[name], against=True).lines
    stub = len(tables[name].rows[0].path)
    differences = [text for line in lines if line.kind == "difference" for text in line.cells[stub:] if text.text]
    assert differences
    assert {text.text.strip("0.") for text in differences} == {""}
    assert not any("‡" in text.marks for line in lines for text in line.cells)


@pytest.mark.parametrize("name", TABLES)
def test_averages_are_within_a_hundredth_of_the_printed(tables: dict[str, Table], name: str) -> None:
    for row in tables[name].rows:
        if row.average is None:
            continue
        assert row.average.published is not None
        for ours, printed in (
            (row.average.mean, row.average.published.mean),
            (row.average.std, row.average.published.std),
        ):
            if printed is not None:
                decimals = max(tables[name].view.decimals, row.average.published.decimals)
                assert abs(round(ours or 0, decimals) - printed) < 0.01 + 1e-9
        means = [cell.mean for cell in row.cells if cell is not None and cell.mean is not None]
        assert row.average.mean == pytest.approx(np.mean(means), rel=1e-14)
        assert row.average.incomplete is False


def test_an_average_over_copied_cells_has_no_difference(tables: dict[str, Table]) -> None:
    differences = {row.path[0]: row.average.difference for row in tables["transferability/table1"].rows if row.average}
    assert [name for name, difference in differences.items() if difference is None] == ["BitFit"]


def test_parameters_are_counted_not_copied(tables: dict[str, Table], tmp_path: Path) -> None:
    printed = ["100.00%", "51.76%", "25.89%", "0.03%", "0.02%", "0.02%", "0.09%", "0.03%", "0.00%"]
    for table in (tables["transferability/table1"], tabulate(load("transferability/table1"), tmp_path)):
        shown = [sheet.amount(row.parameters.value, table.view) for row in table.rows if row.parameters]
        assert shown == printed, "from the records, and from the architecture where there is no record"
    bitfit = tables["transferability/table1"].rows[6].parameters
    assert bitfit is not None
    assert bitfit.published == 0.12
    assert "0.094" in (bitfit.note or "")


def test_millions_count_the_head_of_the_papers_labels(tables: dict[str, Table], tmp_path: Path) -> None:
    printed = [9.44, 12.59, 4.44, 5.88, 3.81, 5.65, 7.49, 4.89]
    for table in (tables["spafit/table2"], tabulate(load("spafit/table2"), tmp_path)):
        values = [row.parameters.value for row in table.rows if row.parameters]
        assert [round(value or 0, 2) for value in values[2:]] == printed
        assert round(values[0] or 0, 2) == 333.58
    counted = {str(row["options"]): row["trainable_with_head"] for row in parameter_rows.rows(load("spafit/table2"))}
    assert values[2] == pytest.approx(list(counted.values())[2] / 1e6)


def test_an_average_lacking_a_column_is_not_printed(tmp_path: Path) -> None:
    recipe = small(table={"average": True})
    with unsynced():
        for run in runs(recipe, task="rte"):
            write(tmp_path, run, {"validation": {"accuracy": 0.5}})
    average = tabulate(recipe, tmp_path).rows[0].average
    assert average is not None
    assert (average.mean, average.columns, average.planned, average.incomplete) == (None, 1, 2, True)


def test_an_average_of_incomplete_cells_says_so(tmp_path: Path) -> None:
    recipe = small(table={"average": True})
    fill(recipe, tmp_path, lambda run: 0.5)
    run = runs(recipe, task="rte", strategy="full")[0]
    next(tmp_path.glob(f"rte/full-{run.id}.json")).unlink()
    rows = tabulate(recipe, tmp_path).rows
    assert [row.average.incomplete for row in rows if row.average] == [True, False]


def test_baselines_are_those_of_the_evaluated_split() -> None:
    assert build.baseline("rte", "validation", "accuracy", 100) == pytest.approx(100 * 146 / 277)
    assert build.baseline("wsc", "validation", "accuracy", 1) == pytest.approx(66 / 104)
    assert build.baseline("cola", "validation", "matthews", 100) == 0
    assert build.baseline("mnli", "validation_mismatched", "accuracy", 100) is None, "its counts are not known"
    assert build.baseline("mine", "validation", "accuracy", 100) is None
