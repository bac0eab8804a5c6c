"""What runs cost: a run's own numbers, a cohort's shared once, printed counts, and what is not recorded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from peftcli.experiment import parameters
from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import expenses
from peftcli.report.figures.expenses import Against
from peftcli.report.statistics import intervals
from peftcli.report.table import published
from tests.report.figures import costly


def of(study: figures.Study, strategy: int, against: Against) -> Any:
    outcomes = [outcome for outcome in study.outcomes if outcome.planned.strategy == strategy]
    return expenses.of_runs(against, study.recipe, outcomes)


def test_each_measure_is_what_the_records_say(tmp_path: Path) -> None:
    study = costly.study(tmp_path)
    seconds = of(study, 1, "seconds")
    assert seconds.mean == pytest.approx(21.0)
    wanted = stats.ttest_1samp([20.0, 21.0, 22.0], 0).confidence_interval(0.95)
    assert intervals.student(seconds) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert (of(study, 1, "memory").mean, of(study, 1, "bytes").mean) == (4e8, 120_000)
    assert of(study, 1, "parameters").mean == 30_000
    for against in ("memory", "bytes", "parameters"):  # the same of every seed
        assert intervals.student(of(study, 1, against)) is None


def test_runs_of_one_cohort_are_one_measurement_and_share_its_seconds(tmp_path: Path) -> None:
    """Seeds 0 to 2 in one cohort of 3, 3 and 4 in one of 2, 5 alone."""
    cohorts = (3, 3, 3, 2, 2, 1)

    def cost(planned: Any) -> dict[str, Any]:
        size = cohorts[planned.run.seed]
        return {**costly.cost(planned), "cohort": size, "seconds": 30.0 * size + size, "peak_memory_bytes": 100 * size}

    study = costly.study(tmp_path, cost=cost, seeds=6)
    seconds, memory = of(study, 0, "seconds"), of(study, 0, "memory")
    assert list(seconds.values.values()) == pytest.approx([31.0, 31.0, 31.0])
    assert seconds.n == memory.n == 3
    assert memory.mean == pytest.approx((300 + 200 + 100) / 3)  # every run of a cohort needed its peak
    assert expenses.notes("memory", study.outcomes) == [
        "Memory is that of a whole cohort, here of 1 to 3 runs together."
    ]
    assert expenses.notes("seconds", study.outcomes) == []


def test_runs_alone_with_equal_seconds_are_several_measurements(tmp_path: Path) -> None:
    study = costly.study(tmp_path, cost=lambda planned: {**costly.cost(planned), "seconds": 7.0})
    assert (of(study, 0, "seconds").n, of(study, 0, "seconds").mean) == (3, 7.0)


def test_what_older_records_lack_is_unknown_not_nothing(tmp_path: Path) -> None:
    study = costly.study(tmp_path, cost=lambda planned: {"seconds": 3.0, "cohort": 1})
    assert of(study, 0, "seconds").mean == 3.0
    assert of(study, 0, "bytes") is None
    assert of(study, 0, "memory") is None
    without = [replace(outcome, cost={}, parameters={}) for outcome in study.outcomes[:3]]
    assert expenses.of_runs("seconds", study.recipe, without) is None
    counted = parameters.count("minilm", "layernorm", {}, "pair", 2).trainable
    assert expenses.of_runs("parameters", study.recipe, without) == expenses.Sample(counted, None, 0)


def test_several_devices_are_said(tmp_path: Path) -> None:
    study = costly.study(tmp_path)
    first, *rest = study.outcomes
    mixed = [replace(first, environment={"device": "NVIDIA H100"}), *rest]
    assert expenses.notes("seconds", mixed) == ["Runs of several devices are compared: NVIDIA H100, cpu."]
    assert expenses.notes("bytes", mixed) == []  # the same on every device


@pytest.mark.parametrize("name", ["transferability/table1", "spafit/table2"])
def test_printed_counts_are_the_papers(name: str) -> None:
    recipe = recipes.load(recipes.find(name))
    study = figures.study(recipe, Path("nowhere"))
    run = next(outcome.run for outcome in study.outcomes if outcome.run.strategy == "bitfit")
    cell = next(cell for cell in published.read_beside(recipe, study.view) if cell.strategy == "bitfit")
    printed = expenses.of_printed(recipe, run, cell)
    assert printed is not None
    if cell.trainable_millions is not None:
        assert printed.mean == 1e6 * cell.trainable_millions
    else:
        assert cell.trainable_percent is not None
        total = parameters.count(recipe.model, "full", {}, "pair", 2).total
        assert printed.mean == pytest.approx(total * cell.trainable_percent / 100)
    bare = replace(cell, trainable_millions=None, trainable_percent=None)
    counted = expenses.of_printed(recipe, run, bare)
    assert counted is not None
    assert counted.mean == parameters.count(recipe.model, "bitfit", run.options, "pair", 2).trainable


@pytest.mark.parametrize(
    ("against", "value", "word"),
    [
        ("parameters", 0.0, "0"), ("parameters", 25_500, "25.5k"), ("parameters", 999_600, "1M"),
        ("parameters", 110e6, "110M"), ("bytes", 999, "999 B"), ("bytes", 1.28e6, "1.28 MB"),
        ("memory", 81e9, "81 GB"), ("seconds", 0.25, "0.25"), ("seconds", 12_345, "12,345"),
    ],
)  # fmt: skip
def test_costs_in_short(against: Against, value: float, word: str) -> None:
    assert expenses.short(against, value) == word


def test_costs_in_words() -> None:
    assert expenses.in_words("parameters", 25_344) == "25,344 trained parameters"
    assert expenses.in_words("bytes", 101_376) == "101 kB of delta"
    assert expenses.in_words("seconds", 21.04) == "21 seconds"
    assert expenses.in_words("memory", 4e8) == "400 MB of memory"
