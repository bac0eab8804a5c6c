"""What a seed costs: of every learning rate, each run once, by records or by timed steps."""

from pathlib import Path

import pytest

from peftcli.report.planning import cost
from tests.report.planning.studies import basis_of, number
from tests.written_records import load, runs, small, write

ONE = {"seconds": 7200.0, "steps": 1, "tokens": 1, "peak_memory_bytes": None, "cohort": 4}  # half an hour a run


def test_a_seed_takes_a_run_of_every_learning_rate(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"])  # two learning rates
    for run in runs(recipe, strategy="full"):
        seconds = 3600.0 if run.learning_rate == 1e-3 else 1800.0
        write(tmp_path, run, {"validation": {"accuracy": 0.5}}, cost={**ONE, "seconds": seconds, "cohort": 1})
    made = basis_of(recipe, tmp_path)
    full, layernorm = number(made, "full", "rte"), number(made, "layernorm", "rte")
    assert cost.hours_of_a_seed([full], made, {}) == pytest.approx(1.5)
    assert cost.hours_of_a_seed([full, full], made, {}) == pytest.approx(1.5)  # each run once
    assert cost.hours_of_a_seed([full, layernorm], made, {}) is None
    key = runs(recipe, strategy="layernorm")[0].cohort_key()
    assert cost.hours_of_a_seed([full, layernorm], made, {key: 900.0}) == pytest.approx(1.5 + 2 * 0.25)
    # What is recorded counts, not what a few steps of it were timed at.
    assert cost.hours_of_a_seed([full], made, {runs(recipe, strategy="full")[0].cohort_key(): 1.0}) == pytest.approx(
        1.5
    )


def test_a_rate_without_a_record_takes_what_the_others_do(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"])
    write(tmp_path, runs(recipe, strategy="full", learning_rate=1e-3)[0], {}, "diverged", cost=ONE)
    made = basis_of(recipe, tmp_path)
    timed = {runs(recipe, strategy="full")[0].cohort_key(): 1.0}  # what is recorded counts here too
    for seconds in ({}, timed):
        assert cost.hours_of_a_seed([number(made, "full", "rte")], made, seconds) == pytest.approx(2 * 0.5)


def test_a_row_s_own_rate_is_all_that_it_takes(tmp_path: Path) -> None:
    table = {"rows": ["strategy", "learning_rate"], "select": "every learning rate"}
    recipe = small(tasks=["rte"], table=table)
    for run in runs(recipe):
        write(tmp_path, run, {"validation": {"accuracy": 0.5}}, cost=ONE)
    made = basis_of(recipe, tmp_path)
    assert cost.hours_of_a_seed([number(made, "full", "rte")], made, {}) == pytest.approx(0.5)


def test_an_average_takes_all_its_tasks_and_two_columns_of_one_task_the_same_runs(tmp_path: Path) -> None:
    recipe = load("transferability/table1")  # with one learning rate
    for run in runs(recipe, strategy="full", seed=0):
        write(tmp_path, run, {"validation": {}}, "diverged", cost=ONE)
    made = basis_of(recipe, tmp_path)
    matched, mismatched = (number(made, "full", f"mnli_{side}") for side in ("matched", "mismatched"))
    assert cost.hours_of_a_seed([matched, mismatched], made, {}) == pytest.approx(0.5)
    assert cost.hours_of_a_seed([number(made, "full", "average")], made, {}) == pytest.approx(8 * 0.5)
