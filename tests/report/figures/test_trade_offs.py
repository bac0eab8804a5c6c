"""The points of a Pareto figure: runs', single runs' over examples, printed ones, averages, and those left out."""

from pathlib import Path

import numpy
import pytest
from scipy import stats

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import points, trade_offs
from peftcli.report.figures.study import Study
from peftcli.report.statistics import intervals
from peftcli.report.statistics.contrast import Sample
from peftcli.report.table import published
from tests.report.figures import costly


def points_of(study: Study, *strategies: str) -> list[points.Point]:
    return points.points(study, study.groups(None, strategies or None, "best"))


def test_a_score_is_in_percent_over_seeds_whatever_the_table_shows(tmp_path: Path) -> None:
    study = costly.study(tmp_path, table={"scale": "fraction"})
    each = trade_offs.of_runs(study, points_of(study)[1], "parameters")
    values = [100 * (0.65 + spread) for spread in costly.SPREAD]
    assert each.score is not None
    assert each.score.mean == pytest.approx(numpy.mean(values))
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert intervals.student(each.score) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert each.is_whole


def test_one_run_varies_as_its_examples_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = costly.study(tmp_path, seeds=1)
    alone = trade_offs.of_runs(study, points_of(study)[0], "parameters")
    assert alone.score is not None
    assert alone.score.deviation is None
    monkeypatch.setattr(trade_offs, "_examples", lambda study, point: 250)
    over = trade_offs.of_runs(study, points_of(study)[0], "parameters").score
    assert over is not None
    right = round(250 * (over.mean / 100))  # 59.6 % of 250 is 149 examples
    answers = [100.0] * right + [0.0] * (250 - right)
    wanted = stats.ttest_1samp(answers, 0).confidence_interval(0.95)
    assert intervals.student(over) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    # With seeds it is their variance that counts, whatever the number of examples.
    several = costly.study(tmp_path / "several")
    assert (trade_offs.of_runs(several, points_of(several)[0], "parameters").score or Sample(0, None, 0)).n == 3


def test_only_an_accuracy_is_over_examples() -> None:
    with pytest.raises(UserError, match="examples: matthews is no mean over examples"):
        trade_offs.over_examples(50.0, 100, "matthews")
    assert trade_offs.over_examples(100.0, 100, "accuracy").deviation == 0.0


def test_printed_cells_have_the_paper_s_deviation_and_count(tmp_path: Path) -> None:
    study = figures.study(recipes.load(recipes.find("effectiveness/table1")), tmp_path)
    cells = published.read(study.recipe.path.parent / "table1.csv")
    of_cola = {cell.strategy: cell for cell in cells if cell.task == "cola"}
    seen = 0
    for point in points_of(study):
        if point.group.column.column != "cola":
            continue
        each = trade_offs.printed(study, point)
        cell = of_cola[point.group.outcomes[0].run.strategy]
        assert each is not None
        assert each.score is not None
        assert each.is_printed
        assert each.score.mean == cell.mean
        if cell.std is not None and cell.n and not cell.copied_from:
            ddof = cell.ddof or 0
            assert each.score.deviation == pytest.approx(cell.std * ((cell.n - ddof) / (cell.n - 1)) ** 0.5)
            seen += 1
    assert seen >= 8


def test_copied_cells_and_maxima_have_no_interval(tmp_path: Path) -> None:
    maxima = figures.study(recipes.load(recipes.find("spafit/table2")), tmp_path)
    copied = figures.study(recipes.load(recipes.find("transferability/table1")), tmp_path)
    lacking = 0
    for study, strategies in ((maxima, ("full",)), (copied, ("bitfit", "full"))):
        for point in points_of(study, *strategies):
            each = trade_offs.printed(study, point)
            if each is not None and each.score is not None and (point.copied or point.is_maximum):
                assert each.score.deviation is None
                lacking += 1
    assert lacking >= 6
    first = next(each for point in points_of(maxima, "full") if (each := trade_offs.printed(maxima, point)))
    assert first.score is not None
    assert first.score.mean > 1  # printed as a fraction, drawn in percent


def test_averages_need_every_column_and_vary_as_the_seeds_averages_do(tmp_path: Path) -> None:
    def score(planned: costly.Planned) -> float | None:
        missing = (planned.strategy, planned.task) == (2, 1)
        return None if missing else costly.score(planned) + 0.002 * planned.task * planned.run.seed

    study = costly.study(tmp_path, score=score, tasks=["rte", "cola"])
    separate = [trade_offs.of_runs(study, point, "seconds") for point in points_of(study)]
    averages = trade_offs.over_columns(separate, 2)
    assert [each.label for each in averages] == list(costly.STRATEGIES)
    assert [each.is_whole for each in averages] == [True, True, False]
    assert {each.panel for each in averages} == {"average over 2 columns"}
    by_seed = [100 * (0.65 + spread - 0.005 + 0.001 * seed) for seed, spread in enumerate(costly.SPREAD)]
    score_of, cost_of = averages[1].score, averages[1].cost
    assert score_of is not None
    assert cost_of is not None
    assert list((score_of.values or {}).values()) == pytest.approx(by_seed)
    assert cost_of.mean == pytest.approx(21.0)
    assert trade_offs.notes("seconds", averages, 1) == ["Left out without a score, 1 of 3: full."]


def test_those_without_a_cost_are_counted(tmp_path: Path) -> None:
    study = costly.study(
        tmp_path, cost=lambda planned: None if planned.strategy else costly.cost(planned), tasks=["rte", "cola"]
    )
    separate = [trade_offs.of_runs(study, point, "seconds") for point in points_of(study)]
    assert [each.is_whole for each in separate] == [True, False, False] * 2
    assert trade_offs.notes("seconds", separate, 2) == [
        "Left out, no time recorded, 4 of 6: bitfit on rte; full on rte; bitfit on cola; full on cola."
    ]
