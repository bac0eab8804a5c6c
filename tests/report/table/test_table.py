"""A table as data: when a cell is complete, and which number it stands for."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.report.table.table import Cell
from tests.written_records import small, tabulate


def cell(**changes: Any) -> Cell:
    fields = {
        **{"strategy": "full", "options": {}, "setting": {}, "task": "rte", "task_entry": 0, "column": "rte"},
        **{"split": "validation", "metric": "accuracy", "learning_rate": 1e-3, "values": {}, "mean": 61.0, "std": 2.0},
        **{"maximum": 64.0, "ddof": 1, "n": 3, "planned": 3, "runs": 6, "runs_planned": 6},
    }
    return Cell(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "complete"),
        ({"n": 0, "runs": 0}, "missing"),
        ({"n": 0}, "missing"),  # every run diverged
        ({"n": 2}, "incomplete"),  # one of the chosen rate's runs diverged
        ({"runs": 5}, "incomplete"),  # a rate that could have been chosen lacks a run
    ],
)
def test_a_cell_is_complete_when_every_run_ended_with_a_value(changes: dict[str, int], state: str) -> None:
    assert cell(**changes).state == state


def test_a_cell_stands_for_its_mean_or_else_its_maximum() -> None:
    assert cell().shown == 61.0
    assert cell(mean=None).shown == 64.0
    assert cell(mean=None, maximum=None).shown is None


def test_the_cells_of_a_table_come_row_by_row_without_the_unplanned(tmp_path: Path) -> None:
    table = tabulate(small(strategies=["full", {"layernorm": {"tasks": ["cola"]}}]), tmp_path)
    assert [[each is None for each in row.cells] for row in table.rows] == [[False, False], [True, False]]
    assert [(each.strategy, each.column) for each in table.cells()] == [
        ("full", "rte"),
        ("full", "cola"),
        ("layernorm", "cola"),
    ]
