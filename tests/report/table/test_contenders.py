"""One row stands for a strategy with several learning rates: the one that held-out examples choose, else the best mean."""

from dataclasses import replace
from pathlib import Path

import pytest

from peftcli.report.table import contenders
from peftcli.report.table.table import Cell
from tests.written_records import fill, small, tabulate


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3])
    fill(recipe, tmp_path, lambda run: 0.5)
    return next(tabulate(recipe, tmp_path).cells())


def rated(cell: Cell, rate: float, mean: float, held_out: float | None) -> Cell:
    return replace(cell, setting={"learning_rate": rate}, learning_rate=rate, mean=mean, held_out=held_out)


def test_held_out_examples_choose_among_rates(cell: Cell) -> None:
    rows = [rated(cell, 1e-4, 60.0, 90.0), rated(cell, 1e-3, 70.0, 80.0)]
    (full,) = contenders.of(rows)
    assert (full.cell, full.rows, full.held_out, full.flattered) == (rows[0], tuple(rows), True, False)


@pytest.mark.parametrize("lacking", [{"held_out": None}, {"runs": 2}])
def test_without_them_in_every_row_the_best_mean_does_and_flatters(cell: Cell, lacking: dict[str, None]) -> None:
    rows = [replace(rated(cell, 1e-4, 60.0, 90.0), **lacking), rated(cell, 1e-3, 70.0, 80.0)]
    (full,) = contenders.of(rows)
    assert (full.cell, full.held_out, full.flattered) == (rows[1], False, True)


def test_the_lower_rate_wins_a_tie(cell: Cell) -> None:
    (full,) = contenders.of([rated(cell, 1e-3, 60.0, 90.0), rated(cell, 1e-4, 60.0, 90.0)])
    assert full.cell.learning_rate == 1e-4


def test_options_are_strategies_of_their_own_and_a_row_without_a_mean_is_none(cell: Cell) -> None:
    rows = [replace(cell, options={"layers": [layer]}) for layer in (1, 2, 3)]
    assert [each.cell for each in contenders.of([*rows, replace(cell, mean=None)])] == rows
    assert not any(each.flattered for each in contenders.of(rows))
    assert contenders.of([replace(cell, flattery=1.0)])[0].flattered, "chosen within the cell"
