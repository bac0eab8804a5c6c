"""Ranks and their spread: the paper's ten points from its printed cells, and scipy's ranks and correlation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.report import figures, printed
from peftcli.report.figures import ranks
from peftcli.report.figures.study import Study
from tests import written_records
from tests.drawn import entry, odd, study_of


@pytest.fixture(scope="module")
def both_tables(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Figure 4's recipe, with records that come to the printed cells of Tables 1 and 2."""
    output = tmp_path_factory.mktemp("results")
    for table in ("effectiveness/table1", "effectiveness/table2"):
        written_records.from_published(recipes.load(recipes.find(table)), output)
    return figures.study(recipes.load(recipes.find("effectiveness/figure4")), output)


def test_the_paper_s_ten_points_come_out_of_its_cells(both_tables: Study) -> None:
    spec: Any = figures.parse(both_tables.recipe.figures[0])
    drawn, theirs = ranks.collect(spec, both_tables)
    ranked = ranks.ranks(spec, drawn, both_tables.view.decimals)
    assert len(ranked) == 160  # ten strategies on seven tasks and their average, twice
    ours = ranks.spreads(ranked)
    rows = printed.read(both_tables.recipe.path.parent / "figure4.csv", ranks.COLUMNS)
    assert len(rows) == 10
    assert [(s.stability, s.mean, s.std) for s in theirs] == rows
    points = np.array([(s.stability, s.mean, s.std) for s in ours])
    assert points == pytest.approx(np.array(rows), abs=1e-6)  # read off to six digits
    assert [s.count for s in ours] == [16, 16, 19, 15, 14, 16, 16, 16, 16, 16]  # two share a rank
    assert ranks.correlation(ranked).statistic == pytest.approx(0.418, abs=5e-4)
    # Without the averages neither the points nor the correlation are the paper's.
    bare = ranks.ranks(spec.model_copy(update={"average": False}), drawn, 2)
    assert len(bare) == 140
    assert abs(ranks.spreads(bare)[0].mean - rows[0][1]) > 0.01


def test_ranks_are_scipy_s_and_the_best_of_those_that_are_equal(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/table1"))
    written_records.from_published(recipe, tmp_path)
    study = figures.study(recipe, tmp_path)
    spec = entry("ranks")
    drawn, theirs = ranks.collect(spec, study)
    ranked = ranks.ranks(spec, drawn, 2)
    assert theirs == []
    for column in dict.fromkeys(point.group.column.label for point in drawn):
        cells = [point for point in drawn if point.group.column.label == column]
        stability = stats.rankdata([round(point.std or 0, 2) for point in cells], "min")
        performance = stats.rankdata([-round(point.mean or 0, 2) for point in cells], "min")
        of_column = [r for r in ranked if r.column == column]
        assert [(r.stability, r.performance) for r in of_column] == list(zip(stability, performance, strict=True))
    wanted = stats.spearmanr([r.stability for r in ranked], [r.performance for r in ranked])
    assert ranks.correlation(ranked).statistic == pytest.approx(wanted.statistic, abs=1e-12)
    assert ranks.correlation(ranked).p_value == pytest.approx(wanted.pvalue)
    assert ranks.correlation(ranked).statistic == pytest.approx(0.486, abs=5e-4)
    first = ranks.spreads(ranked)[0]
    of_first = [r.performance for r in ranked if r.stability == 1]
    assert (first.mean, first.std) == pytest.approx((np.mean(of_first), np.std(of_first)))


def test_an_average_needs_every_task(tmp_path: Path) -> None:
    """BitFit has no run on CoLA: it is ranked on RTE, and has no average to rank."""
    study = study_of(tmp_path, odd)
    spec = entry("ranks")
    drawn, _ = ranks.collect(spec, study)
    ranked = ranks.ranks(spec, drawn, 2)
    assert [(r.column, r.label) for r in ranked] == [
        ("CoLA", "Full"), ("CoLA", "LayerNorm"), ("RTE", "Full"), ("RTE", "LayerNorm"), ("RTE", "BitFit"),
        ("average", "Full"), ("average", "LayerNorm"),
    ]  # fmt: skip


def test_what_tells_tables_apart_must_be_a_setting_and_the_points_a_file(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    with pytest.raises(UserError, match=r"training setting of this figure.*drop_example.*drop_examples"):
        ranks.collect(entry("ranks", apart="drop_example"), study)
    with pytest.raises(UserError, match="cannot read published figure"):
        ranks.collect(entry("ranks", published="none.csv"), study)
