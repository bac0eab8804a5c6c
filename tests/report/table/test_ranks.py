"""Ranks equal pandas', as printed; what is left out takes no place."""

from pathlib import Path

import pandas
import pytest

from peftcli.report.table.table import Table
from tests.written_records import fill, from_published, load, small, tabulate


@pytest.fixture(scope="module")
def effectiveness(tmp_path_factory: pytest.TempPathFactory) -> Table:
    output = tmp_path_factory.mktemp("effectiveness")
    recipe = load("effectiveness/table1")
    from_published(recipe, output)
    return tabulate(recipe, output)


def test_ranks_are_those_of_pandas(effectiveness: Table) -> None:
    frame = pandas.DataFrame([vars(cell) for cell in effectiveness.cells()])
    by_mean = frame.groupby("column")["mean"].transform(
        lambda column: column.round(2).rank(ascending=False, method="min")
    )
    by_std = frame.groupby("column")["std"].transform(lambda column: column.round(2).rank(method="min"))
    assert (frame["rank"] == by_mean).all()
    assert (frame["std_rank"] == by_std).all()


# Table 1 of the paper prints these in brackets: strategy, task, rank of the mean, rank of the deviation (0: none).
PRINTED = """
full mrpc 1 0; full cb 2 2; random cola 0 2; random stsb 0 1; random cb 1 0; mixout stsb 3 0; mixout mrpc 0 3;
mixout rte 1 1; bitfit stsb 0 3; bitfit mrpc 0 2; magpruning stsb 2 3; magpruning rte 0 3; magpruning copa 3 2;
magpruning wsc 0 1; adapter cola 1 3; adapter stsb 0 2; adapter mrpc 3 3; adapter rte 3 0; adapter copa 0 3;
adapter wsc 2 0; lora cola 3 0; lora mrpc 2 0; lora rte 2 0; lora wsc 3 0; diffpruning cb 0 3; diffpruning copa 2 0;
diffpruning wsc 0 3; sam cola 2 1; sam stsb 1 3; sam mrpc 0 1; sam rte 0 2; sam cb 2 1; sam copa 1 1; sam wsc 1 2
"""


def test_the_brackets_of_the_paper_come_out(effectiveness: Table) -> None:
    printed = {(s, t): (int(a), int(b)) for s, t, a, b in (entry.split() for entry in PRINTED.split(";"))}
    for cell in effectiveness.cells():
        shown = tuple(rank if rank is not None and rank <= 3 else 0 for rank in (cell.rank, cell.std_rank))
        assert shown == printed.get((cell.strategy, cell.column), (0, 0)), (cell.strategy, cell.column)


def test_unranked_strategies_take_no_place_and_within_ranks_apart(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], table={"ranks": "best", "unranked": ["full"]})
    fill(recipe, tmp_path, lambda run: 0.9 if run.strategy == "full" else 0.5)
    assert [row.cells[0].rank for row in tabulate(recipe, tmp_path).rows if row.cells[0]] == [None, 1]
    fours = [{name: {"n": n}} for n in (4, 16) for name in ("layernorm_outlier", "layernorm_random")]
    table = {"ranks": "best", "within": "n"}
    recipe = small(tasks=["rte"], learning_rates=[1e-3], strategies=fours, table=table)
    fill(recipe, tmp_path, lambda run: run.options["n"] / 100 + (run.strategy == "layernorm_outlier") / 1000)
    assert [row.cells[0].rank for row in tabulate(recipe, tmp_path).rows if row.cells[0]] == [1, 2, 1, 2]


def test_equal_as_printed_is_equal(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], table={"ranks": "best"})
    fill(recipe, tmp_path, lambda run: 0.50004 if run.strategy == "full" else 0.5)
    assert [row.cells[0].rank for row in tabulate(recipe, tmp_path).rows if row.cells[0]] == [1, 1]
