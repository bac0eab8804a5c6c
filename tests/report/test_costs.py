"""What runs took, on average and together: a cohort's time is shared, its memory is not, and what is unknown is left out."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import plan
from peftcli.experiment.recipe import Recipe
from peftcli.report import costs
from peftcli.report.costs import RunCost
from peftcli.report.table import selection
from peftcli.report.table.selection import Outcome
from tests.written_records import body, runs, small, unsynced, write

COST: dict[str, Any] = {
    "seconds": 60.0,
    "steps": 10,
    "tokens": 4000,
    "peak_memory_bytes": 10**9,
    "delta_bytes": 500,
    "cohort": 4,
}
GPU = {**body({})["environment"], "device": "NVIDIA H100"}
SCORES = {"validation": {"accuracy": 0.5, "matthews": 0.5}}


def read(recipe: Recipe, output: Path) -> list[Outcome]:
    return selection.outcomes(plan.expand(recipe), output)


def test_a_row_is_the_mean_of_a_strategy_s_runs_with_their_share_of_the_cohort(tmp_path: Path) -> None:
    recipe = small(learning_rates=[1e-3], seeds=2)
    with unsynced():
        for task, strategy, seconds, sizes, delta in (
            ("rte", "full", 60.0, (4, 2), (1000, 2000)),
            ("cola", "full", 90.0, (3, 3), (3000, None)),
            ("rte", "layernorm", 8.0, (1, 1), (10, 20)),
        ):
            for run, size, stored in zip(runs(recipe, task=task, strategy=strategy), sizes, delta, strict=True):
                changes = {"seconds": seconds, "cohort": size, "delta_bytes": stored, "peak_memory_bytes": size * 100}
                write(tmp_path, run, SCORES, cost={**COST, **changes})
    outcomes = read(recipe, tmp_path)
    by_task = {(row.strategy, row.task): row for row in costs.by_task(recipe, outcomes)}
    assert list(by_task) == [(s, t) for s in ("full", "layernorm") for t in ("rte", "cola")]
    # (60 / 4 + 60 / 2) / 2 seconds; (4000 / 4 + 4000 / 2) / 2 tokens
    assert by_task["full", "rte"] == RunCost("full", "rte", "cpu", 2, 3.0, 22.5, 1500.0, 300.0, 1500.0)
    assert by_task["full", "cola"].delta_bytes == 3000  # of the record that says it
    assert by_task["layernorm", "cola"] == RunCost("layernorm", "cola", "", 0, None, None, None, None, None)
    full, layernorm = costs.by_strategy(recipe, outcomes)
    assert (full.task, full.runs, full.seconds, full.delta_bytes) == ("", 4, (15 + 30 + 30 + 30) / 4, 2000.0)
    assert (layernorm.runs, layernorm.seconds, layernorm.cohort) == (2, 8.0, 1.0)


def test_devices_are_not_averaged(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=3)
    with unsynced():
        for run, environment, seconds in zip(
            runs(recipe), (GPU, body({})["environment"], GPU), (4.0, 80.0, 8.0), strict=True
        ):
            write(tmp_path, run, SCORES, cost={**COST, "seconds": seconds}, environment=environment)
    rows = costs.by_strategy(recipe, read(recipe, tmp_path))
    assert [(row.device, row.runs, row.seconds) for row in rows] == [("NVIDIA H100", 2, 1.5), ("cpu", 1, 20.0)]


def test_memory_of_processors_and_gpus_is_not_compared(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=2)
    on_cpu, on_gpu = runs(recipe)
    with unsynced():
        write(tmp_path, on_cpu, SCORES, cost={**COST, "peak_memory_bytes": 900})
    assert costs.total(read(recipe, tmp_path)).peak_memory_bytes == 900
    with unsynced():
        write(tmp_path, on_gpu, SCORES, cost={**COST, "peak_memory_bytes": 300}, environment=GPU)
    together = costs.total(read(recipe, tmp_path))
    assert (together.peak_memory_bytes, together.devices) == (300, ("cpu", "NVIDIA H100"))
    assert together.hours == pytest.approx(2 * 60 / 4 / 3600)
    assert together.tokens == 2000


def test_the_last_end_is_that_of_the_records_that_say_one(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=3)
    with unsynced():
        for run, ended in zip(runs(recipe), ({}, {"ended": 1_700_000_000}, {"ended": 1_600_000_000}), strict=True):
            assert costs.total(read(recipe, tmp_path)).ended in (None, 1_700_000_000)
            write(tmp_path, run, SCORES, cost={**COST, **ended})
    assert costs.total(read(recipe, tmp_path)).ended == 1_700_000_000


def test_older_records_lack_what_came_later_and_failed_ones_have_nothing(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=3)
    old, failed, _ = runs(recipe)
    assert costs.by_strategy(recipe, read(recipe, tmp_path)) == ()
    with unsynced():
        write(tmp_path, failed, {}, "failed", error="OutOfMemoryError: no", cost=None)
    assert costs.by_task(recipe, read(recipe, tmp_path)) == ()
    with unsynced():
        write(tmp_path, old, SCORES, cost={"seconds": 3.0, "steps": 10, "tokens": 100, "cohort": 1})
    (row,) = costs.by_strategy(recipe, read(recipe, tmp_path))
    assert row == RunCost("full", "", "cpu", 1, 1.0, 3.0, 100.0, None, None)
