"""Bars: means and deviations against numpy, and the printed numbers beside them."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.errors import UserError
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


def test_runs_that_did_not_learn_are_left_out_where_the_recipe_says_so(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    scores = sorted(
        100 * synthetic.level(o.planned)
        for o in study.outcomes
        if (o.run.strategy, o.run.task, o.run.learning_rate) == ("layernorm", "cola", 1e-3)
    )
    # A constant answer scores 0 on CoLA: the limit stands between the first score and the second.
    limit = (scores[0] + scores[1]) / 2
    options = entry("bars", not_learned={"cola": limit})
    found = {point.label: point for point in bars.collect(options, study)}
    assert found["LayerNorm on CoLA"].mean == pytest.approx(np.mean(scores[1:]))
    assert found["LayerNorm on CoLA"].std == pytest.approx(np.std(scores[1:], ddof=1))
    assert (found["LayerNorm on CoLA"].n, found["LayerNorm on CoLA"].planned) == (3, 4)
    assert found["LayerNorm on RTE"].n == 4, "only where the recipe names it"
    drawing = figures.draw(options, study)
    assert f"LayerNorm on CoLA: 1 of 4 (no more than {limit:.1f})" in drawing.description
    none = bars.collect(entry("bars", not_learned={"cola": 100.0}), study)[0]
    assert (none.mean, none.std, none.n, none.unlearned) == (None, None, 0, 4)
    with pytest.raises(UserError, match="unknown task of this figure 'mrpc'"):
        bars.collect(entry("bars", not_learned={"mrpc": 1.0}), study)


def test_learning_rates_are_told_by_task_where_they_differ(tmp_path: Path) -> None:
    study = figures.study(recipes.load(recipes.find("freezing/table1")), tmp_path)
    said = figures.draw(entry("bars", learning_rate="printed", strategies=["full", "bitfit"]), study).description
    assert "Learning rates: Full 3e-5; BitFit 5e-4 (CoLA, RTE, QNLI), 1e-4 (SST-2)." in said
