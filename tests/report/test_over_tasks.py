"""A table over its tasks: averages by seed, differences from the reference, and what counts as a task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from scipy import stats

from peftcli.experiment import plan
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.report import over_tasks
from peftcli.report.over_tasks import OverTasks
from peftcli.report.statistics.interquartile import over_tasks as of_values
from peftcli.tasks import registry as tasks
from tests import written_records

TASKS = ["cola", "mrpc", "rte", "sst2", "qnli"]
WHOLE: dict[str, Any] = {
    "tasks": TASKS,
    "strategies": ["full", "layernorm", "bitfit"],
    "learning_rates": [1e-3],
    "table": {"average": True, "reference": "full"},
}


def value(planned: Planned) -> float | None:
    """A run's score, a fraction of its own."""
    return 0.9 - 0.1 * planned.strategy + 0.02 * written_records.score_of(planned.run)


def records(recipe: Recipe, output: Path, value: Callable[[Planned], float | None] = value) -> None:
    """Write a record of every run that has a value; on a task's second split 0.01 more."""
    with written_records.unsynced():
        for planned in plan.expand(recipe):
            score, task = value(planned), tasks.TASKS[planned.run.task]
            if score is not None:
                splits = {s: dict.fromkeys(task.metrics, score + 0.01 * at) for at, s in enumerate(task.evaluation)}
                written_records.write(output, planned.run, splits)


def summary(output: Path, value: Callable[[Planned], float | None] = value, **changes: Any) -> OverTasks | None:
    recipe = written_records.small(**{**WHOLE, **changes})
    records(recipe, output, value)
    return over_tasks.summarise(written_records.tabulate(recipe, output))


def matrix(recipe: Recipe, strategy: int) -> Any:
    """Return a strategy's values in percent: [tasks, seeds]."""
    runs = [each for each in plan.expand(recipe) if each.strategy == strategy]
    return numpy.array([[100 * (value(r) or 0.0) for r in runs if r.task == task] for task in range(len(recipe.tasks))])


def test_averages_differences_and_ranks_are_those_of_scipy(tmp_path: Path) -> None:
    whole = summary(tmp_path)
    assert whole is not None
    assert (whole.tasks, whole.columns, whole.reference, whole.left_out) == (5, 5, "full", ())
    recipe = written_records.small(**WHOLE)
    values = [matrix(recipe, strategy) for strategy in range(3)]
    for each, ours in zip(whole.strategies, values, strict=True):
        assert each.average == pytest.approx(ours.mean(), rel=1e-12)
        interval = stats.ttest_1samp(ours.mean(0), 0).confidence_interval(0.95)
        assert each.interval == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert whole.strategies[0].difference is None
    for each, ours in zip(whole.strategies[1:], values[1:], strict=True):
        assert each.difference is not None
        assert each.difference.mean == pytest.approx(stats.trim_mean(ours - values[0], 0.25, axis=None), rel=1e-9)
        wanted = of_values((ours - values[0]).tolist())
        assert (each.difference.low, each.difference.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert [each.rank for each in whole.strategies] == [1.0, 2.0, 3.0]


def test_the_average_is_the_table_s(tmp_path: Path) -> None:
    recipe = written_records.load("transferability/table1")
    written_records.from_published(recipe, tmp_path)
    table = written_records.tabulate(recipe, tmp_path)
    whole = over_tasks.summarise(table)
    assert whole is not None
    # MNLI's two columns are one task; an average column is none.
    assert (whole.tasks, whole.columns) == (8, 9)
    assert [each.average for each in whole.strategies] == pytest.approx(
        [row.average.mean for row in table.rows if row.average is not None], rel=1e-12
    )


def test_two_columns_of_one_task_are_one_task_and_their_mean(tmp_path: Path) -> None:
    recipe = written_records.small(**{**WHOLE, "tasks": ["mnli", *TASKS[:4]]})
    records(recipe, tmp_path)
    table = written_records.tabulate(recipe, tmp_path)
    whole = over_tasks.strategies(table)
    scores = over_tasks.scores(whole)
    assert (len(scores), len(over_tasks.columns_of(table))) == (5, 6)
    matched, mismatched, *_ = table.rows[1].cells
    assert matched is not None
    assert mismatched is not None
    assert matched.mean is not None
    assert mismatched.mean == pytest.approx(matched.mean + 1.0)
    assert scores[0][1] == pytest.approx(matched.mean + 0.5, rel=1e-12)


def test_two_metrics_of_one_task_are_one_task(tmp_path: Path) -> None:
    four = {"tasks": TASKS[:4], "table": {"metrics": {"mrpc": ["accuracy", "f1"]}, "reference": "full"}}
    assert summary(tmp_path, **four) is None  # five columns of four tasks, and no average asked for


@pytest.mark.parametrize("table", [{"rows": "task", "columns": "strategy"}, {"columns": "task"}])
def test_it_reads_tables_of_either_layout(tmp_path: Path, table: dict[str, Any]) -> None:
    whole = summary(tmp_path, table={**table, "reference": "full"})
    assert whole is not None
    assert [each.key for each in whole.strategies] == [("full",), ("layernorm",), ("bitfit",)]
    assert [each.rank for each in whole.strategies] == [1.0, 2.0, 3.0]


def test_of_rows_for_each_learning_rate_one_stands_for_its_strategy(tmp_path: Path) -> None:
    table = {"rows": ["strategy", "learning_rate"], "select": "every learning rate", "reference": "full"}
    rates = {"learning_rates": [1e-3, 1e-2], "table": table}
    whole = summary(tmp_path, lambda p: (value(p) or 0.0) + p.run.learning_rate * (5 if p.strategy else -5), **rates)
    assert whole is not None
    assert [each.key for each in whole.strategies] == [("full",), ("layernorm",), ("bitfit",)]
    fifty = matrix(written_records.small(**WHOLE), 1)
    assert whole.strategies[1].average == pytest.approx(fifty.mean() + 5.0, abs=2.0)  # the higher rate's


def test_other_seeds_and_missing_runs_have_no_interval_and_no_difference(tmp_path: Path) -> None:
    strategies = ["full", {"layernorm": {"seeds": 4}}, {"bitfit": {"seeds": [0, 1, 2]}}]
    whole = summary(tmp_path, lambda p: None if (p.strategy, p.task, p.run.seed) == (2, 0, 1) else value(p),
                    strategies=strategies)  # fmt: skip
    assert whole is not None
    full, layernorm, bitfit = whole.strategies
    assert full.interval is not None
    assert layernorm.interval is not None  # the same four on every task
    assert layernorm.difference is None  # but not full's
    assert bitfit.interval is None
    assert bitfit.difference is None


def test_a_strategy_that_lacks_a_task_is_left_out_and_below_three_there_are_no_ranks(tmp_path: Path) -> None:
    whole = summary(tmp_path, lambda p: None if (p.strategy, p.task) == (1, 4) else value(p))
    assert whole is not None
    assert whole.left_out == (("layernorm",),)
    assert whole.ranks is None
    assert [each.rank for each in whole.strategies] == [None, None]


def test_with_fewer_than_five_tasks_there_is_an_average_alone(tmp_path: Path) -> None:
    whole = summary(tmp_path, tasks=TASKS[:3])
    assert whole is not None
    assert whole.ranks is None
    assert whole.reference is None
    assert all(each.interval and each.difference is None for each in whole.strategies)
    assert summary(tmp_path / "b", tasks=TASKS[:3], table={"reference": "full"}) is None


def test_maxima_and_no_record_have_no_summary(tmp_path: Path) -> None:
    maximum = {"cell": "maximum", "select": "every run", "average": True}
    assert summary(tmp_path, table=maximum) is None
    assert summary(tmp_path / "b", lambda planned: None) is None
