"""The critical-difference diagram: a row a strategy, a bar for each group, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.report import checking, figures
from peftcli.report.figures import critical_difference, style
from peftcli.report.figures.study import Study
from peftcli.report.statistics.mean_ranks import MeanRanks
from tests import written_records
from tests.drawn import entry
from tests.report.test_over_tasks import TASKS, WHOLE, records, value


def study_of(tmp_path: Path, of: Any = value, **changes: Any) -> Study:
    recipe = written_records.small(**{**WHOLE, **changes})
    records(recipe, tmp_path, of)
    return figures.study(recipe, tmp_path)


def test_ranks_are_those_of_the_table_s_means(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/table1"))
    written_records.from_published(recipe, tmp_path)
    ranking = critical_difference.collect(entry("critical_difference"), figures.study(recipe, tmp_path))
    table = written_records.tabulate(recipe, tmp_path)
    means = [[-(cell.mean or 0.0) for cell in row.cells if cell is not None] for row in table.rows]
    assert ranking.ranks is not None
    assert ranking.names == tuple(row.path[0] for row in table.rows)
    assert ranking.ranks.ranks == pytest.approx(stats.rankdata(means, axis=0).mean(1), rel=1e-12)
    assert ranking.ranks.tasks == 7
    drawing = figures.draw(entry("critical_difference"), figures.study(recipe, tmp_path))
    assert drawing.description.startswith("Mean ranks over 7 tasks (1: best): Friedman's p = 0.04; two differ where")
    assert "Ranks: SAM 2.21; Adapter 3.57;" in drawing.description


def test_tasks_and_strategies_can_be_chosen(tmp_path: Path) -> None:
    study = study_of(tmp_path, tasks=[*TASKS, "stsb"], strategies=["full", "layernorm", "bitfit", "frozen"])
    few = entry("critical_difference", tasks=TASKS, strategies=["bitfit", "full", "frozen"])
    ranking = critical_difference.collect(few, study)
    assert set(ranking.names) == {"full", "bitfit", "frozen"}
    assert ranking.ranks is not None
    assert ranking.ranks.tasks == 5
    with pytest.raises(UserError, match="unknown strategy of this figure 'ful': did you mean 'full'"):
        critical_difference.collect(entry("critical_difference", strategies=["ful"]), study)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": TASKS[:4]}, "mean ranks need 5 tasks or more, and there are 4"),
        ({"tasks": ["mnli", *TASKS[:3]]}, "mean ranks need 5 tasks or more, and there are 4"),
        ({"strategies": ["full", "bitfit"]}, "mean ranks need 3 strategies or more, and there are 2"),
        ({"table": {"cell": "maximum", "select": "every run"}}, "ranks over tasks are of means, and the table's cells"),
    ],
)
def test_what_cannot_be_ranked_is_refused_before_anything_is_trained(changes: dict[str, Any], said: str) -> None:
    drawn = [{"kind": "critical_difference", "name": "cd"}]
    with pytest.raises(UserError, match=f"figure cd: {said}") as caught:
        checking.check(written_records.small(**{**WHOLE, "figures": drawn, **changes}))
    assert "\n" not in str(caught.value)


def test_without_enough_runs_it_is_drawn_and_says_who_is_left_out(tmp_path: Path) -> None:
    study = study_of(tmp_path, lambda p: None if (p.strategy, p.task) == (1, 4) else value(p))
    drawing = figures.draw(entry("critical_difference"), study)
    assert drawing.description == (
        "Fewer than three strategies are on every task yet. Left out, not on every task, 1 of 3: layernorm."
    )


def test_bars_join_the_rows_of_their_groups_and_cross_nothing() -> None:
    ranks = MeanRanks((4.0, 1.0, 2.0, 3.0), 6, 15.0, 0.002, 1.5)
    with style.settings():
        figure = critical_difference.paint(critical_difference.Ranking(("d", "a", "b", "c"), ranks, ()), ())
    (ax,) = figure.axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "c", "d"]
    bars = [line.get_xydata().tolist() for line in ax.lines if line.get_linewidth() == 2.5]
    # a and b, b and c, c and d: the third stands in the first one's lane, whose bar has ended.
    assert [(bar[0][1], bar[1][1]) for bar in bars] == [(-0.25, 1.25), (0.75, 2.25), (1.75, 3.25)]
    assert [bar[0][0] for bar in bars] == pytest.approx([1.02, 1.042, 1.02])
    (measure,) = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "|"]
    assert measure == [[1.0, -1.0], [2.5, -1.0]]
    (points,) = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert points == [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0], [4.0, 3.0]]
