"""Ranks and their correlation, against scipy on the printed cells."""

from pathlib import Path

import pytest
from scipy import stats

from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import (
    rank_scatter,
)
from peftcli.report.table import published
from tests import written_records
from tests.drawn import entry


def test_rank_scatter_gives_the_rho_of_the_printed_cells(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/table1"))
    written_records.from_published(recipe, tmp_path)
    study = figures.study(recipe, tmp_path)
    ranked = rank_scatter.ranks(rank_scatter.collect(entry("rank_scatter"), study), 2)
    cells = [cell for cell in published.read(recipe.path.parent / "table1.csv") if cell.task != "average"]
    stability, performance = [], []
    for task in dict.fromkeys(cell.task for cell in cells):
        own = [cell for cell in cells if cell.task == task]
        stability += list(stats.rankdata([cell.std for cell in own]))
        performance += list(stats.rankdata([-(cell.mean or 0) for cell in own]))
    assert sorted((r.stability, r.performance) for r in ranked) == sorted(zip(stability, performance, strict=True))
    wanted = stats.spearmanr(stability, performance)
    found = rank_scatter.correlation(ranked)
    assert found.statistic == pytest.approx(wanted.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert found.statistic == pytest.approx(0.485, abs=5e-4)
