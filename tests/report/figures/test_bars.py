"""Bars: means and deviations against numpy, and the printed numbers beside them."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import bars, points, spec, style
from peftcli.report.table import published
from tests import synthetic
from tests.drawn import entry, study_of


def test_bars_show_mean_and_deviation_at_the_best_rate(tmp_path: Path) -> None:
    found = bars.collect(entry("bars"), study_of(tmp_path))
    study = study_of(tmp_path)
    assert [point.label for point in found][:3] == ["Full on CoLA", "LayerNorm on CoLA", "BitFit on CoLA"]
    for point in found:
        rates: dict[float, list[float]] = {}
        for outcome in study.outcomes:
            planned = outcome.planned
            if (planned.strategy, planned.task) == (found.index(point) % 3, found.index(point) // 3):
                rates.setdefault(planned.run.learning_rate, []).append(100 * synthetic.level(planned))
        best = max(rates.values(), key=np.mean)
        assert point.mean == pytest.approx(np.mean(best), abs=1e-9)
        assert point.std == pytest.approx(np.std(best, ddof=1), abs=1e-9)
        assert (point.n, point.planned) == (4, 4)
    assert points.notes(found) == []


def test_published_marks_are_the_printed_numbers_the_best_rate_s_where_several_are(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("freezing/table1"))
    study = figures.study(recipe, tmp_path)
    found = bars.collect(entry("bars", published=True), study)
    printed = published.read(recipe.path.parent / "table1.csv")
    for point in found:
        strategy, task = point.group.outcomes[0].run.strategy, point.group.column.column
        wanted = max(cell.mean for cell in printed if (cell.strategy, cell.task) == (strategy, task) and cell.mean)
        assert point.printed == wanted
    assert len(found) == 18


def test_many_bars_go_into_rows(tmp_path: Path) -> None:
    study = figures.study(recipes.load(recipes.find("transferability/table1")), tmp_path)
    options = entry("bars", published=True)
    with style.settings():
        figure, _ = spec.KINDS["bars"].draw(options, study)
    assert [len(axes.get_xticks()) for axes in figure.axes] == [3, 3, 3]
    assert figure.get_figwidth() < 12
