"""A cell beside the printed one: marked where scipy's pooled t test tells the two apart, never for what cannot be tested."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from peftcli.experiment.recipe import Recipe
from peftcli.report.table import beside_paper
from peftcli.report.table.table import Cell
from tests.written_records import fill, runs, small, tabulate, unsynced, write

OURS = [60.0, 61.0, 62.0]


def printed(folder: Path, line: str, **table: Any) -> Recipe:
    (folder / "p.csv").write_text(f"strategy,setting,task,metric,mean,std,max,n,ddof,copied_from\n{line}\n")
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], table={"published": "p.csv", **table})
    return recipe.model_copy(update={"path": folder / "small.yaml"})


def ours(folder: Path, recipe: Recipe, scores: list[float] = OURS) -> Cell:
    with unsynced():
        for run, score in zip(runs(recipe), scores, strict=False):
            write(folder, run, {"validation": {"accuracy": score / 100}})
    (cell,) = tabulate(recipe, folder).cells()
    return cell


@pytest.mark.parametrize(
    ("mean", "differs"), [("63.6", False), ("63.7", True), ("58.4", False), ("58.3", True), ("61.0", False)]
)
def test_a_cell_differs_by_the_pooled_test(tmp_path: Path, mean: str, differs: bool) -> None:
    cell = ours(tmp_path, printed(tmp_path, f"full,,rte,accuracy,{mean},1.25,,3,1,"))
    assert cell.difference == pytest.approx(61 - float(mean))
    # Half a last digit nearer, of a deviation half a last digit larger: two decimals, where the mean has one.
    nearest = float(mean) - 0.05 * np.sign(float(mean) - 61)
    p_value = stats.ttest_ind_from_stats(61, 1, 3, nearest, 1.255, 3, equal_var=True).pvalue
    assert cell.published_p == pytest.approx(p_value, rel=1e-9)
    assert (p_value < 0.05, cell.differs) == (differs, differs)


def test_an_unknown_divisor_is_taken_as_n(tmp_path: Path) -> None:
    cell = ours(tmp_path, printed(tmp_path, "full,,rte,accuracy,64.00,1.25,,3,,"))
    p_value = stats.ttest_ind_from_stats(61, 1, 3, 63.995, 1.255 * np.sqrt(3 / 2), 3, equal_var=True).pvalue
    assert cell.published_p == pytest.approx(p_value, rel=1e-9)


@pytest.mark.parametrize(
    "line",
    [
        "full,,rte,accuracy,90.0,0.1,,3,1,another paper",
        "full,,rte,accuracy,,,90.0,3,1,",
        "full,,rte,accuracy,90.0,,,3,1,",
        "full,,rte,accuracy,90.0,0.1,,,1,",
        "full,,rte,accuracy,90.0,0.1,,2,1,",
    ],
)
def test_what_cannot_be_tested_is_not_marked(tmp_path: Path, line: str) -> None:
    recipe = printed(tmp_path, line)
    cell = ours(tmp_path, recipe)
    assert cell.published is not None
    assert (cell.published_p, cell.differs) == (None, None)
    assert (cell.difference is None) == line.endswith("another paper")
    assert list(beside_paper.notes(tabulate(recipe, tmp_path))) == []


def test_neither_a_maximum_nor_two_seeds_are_tested(tmp_path: Path) -> None:
    line = "full,,rte,accuracy,90.0,0.1,,3,1,"
    maximum = printed(tmp_path, line, cell="maximum", select="every run")
    assert ours(tmp_path, maximum).differs is None
    assert ours(tmp_path / "two", printed(tmp_path, line), OURS[:2]).differs is None


def test_the_marked_are_counted_beside_what_chance_would_mark(tmp_path: Path) -> None:
    names = ["full", "layernorm", "bitfit"]
    lines = [f"{name},,{task},{metric},{50 + 20 * (name == 'full')}.0,1.0,,3,1,"
             for name in names for task, metric in (("rte", "accuracy"), ("cola", "matthews"))]  # fmt: skip
    recipe = printed(tmp_path, "\n".join(lines))
    recipe = small(strategies=names, learning_rates=[1e-3], table=recipe.table)
    recipe = recipe.model_copy(update={"path": tmp_path / "small.yaml"})
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 1000)
    table = tabulate(recipe, tmp_path)
    assert [cell.strategy for cell in table.cells() if cell.differs] == ["full", "full"]
    assert list(beside_paper.notes(table)) == [
        "‡ 2 of 6 cells marked as other than printed; about 0.3 are expected by chance, were our runs more of the paper's."
    ]
