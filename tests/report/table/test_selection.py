"""Selection: which evaluation counts, which learning rate is chosen, what state a run is in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peftcli import records
from peftcli.experiment import plan
from peftcli.experiment.plan import Planned
from peftcli.report.table import selection
from peftcli.report.table.selection import Outcome
from tests.written_records import runs, small, write

EVALUATIONS: list[dict[str, Any]] = [
    {"step": 1, "split": "validation", "accuracy": 0.6},
    {"step": 2, "split": "validation", "accuracy": 0.8},
    {"step": 3, "split": "validation", "accuracy": 0.8},
    {"step": 4, "split": "validation", "accuracy": 0.7},
    {"step": 2, "split": "test", "accuracy": 0.5},
]


def planned(**training: Any) -> Planned:
    return plan.expand(small(training=training))[0]


def outcome(rate: float, value: float | None, held_out: float | None = None, seed: int = 0) -> Outcome:
    scores = {} if value is None else {"validation": {"accuracy": value}}
    of_seed = replace(planned(), run=planned().run.model_copy(update={"seed": seed}))
    return Outcome(of_seed, "completed", scores, "accuracy", held_out, frozenset(), {}, {}, {}, "")


def test_the_last_evaluation_counts_unless_the_best_is_restored() -> None:
    last = selection.counted(EVALUATIONS, planned().run.protocol, "accuracy")
    assert {split: e["step"] for split, e in last.items()} == {"validation": 4, "test": 2}
    restoring = planned(restore_best=True).run.protocol
    best = selection.counted(EVALUATIONS, restoring, "accuracy")
    assert {split: e["step"] for split, e in best.items()} == {"validation": 2, "test": 2}, "the first of equals"
    assert selection.counted([], restoring, "accuracy") == {}


def test_of_equal_evaluations_the_first_or_the_last_counts() -> None:
    last = planned(restore_best=True, ties="last").run.protocol
    both = [*EVALUATIONS[:4], *({"step": n, "split": "test", "accuracy": n / 10} for n in (1, 2, 3, 4))]
    assert {split: e["step"] for split, e in selection.counted(both, last, "accuracy").items()} == {
        "validation": 3,
        "test": 3,
    }
    # Exactly as stored: one unit in the last place is no tie.
    nearly = [*EVALUATIONS[:2], {"step": 3, "split": "validation", "accuracy": 0.7999999999999999}]
    assert selection.counted(nearly, last, "accuracy")["validation"]["step"] == 2
    single = planned(ties="last").run.protocol  # no best is gone back to: the last evaluation, as ever
    assert selection.counted(EVALUATIONS, single, "accuracy")["validation"]["step"] == 4


def test_the_test_split_counts_where_the_best_validation_is() -> None:
    both: list[dict[str, Any]] = [
        *EVALUATIONS[:4],
        *({"step": n, "split": "test", "accuracy": n / 10} for n in (1, 2, 3, 4)),
    ]
    counting = selection.counted(both, planned(restore_best=True).run.protocol, "accuracy")
    assert counting["test"]["accuracy"] == 0.2, "chosen by validation, not by test"


def test_the_official_set_is_the_test_set_where_validation_is_held_out() -> None:
    assert selection.reported_split("validation", planned().run.protocol) == "validation"
    holding = planned(validation_share=0.1).run.protocol
    assert selection.reported_split("validation", holding) == "test"
    assert selection.reported_split("validation_matched", holding) == "test_matched"


def test_the_best_rate_has_the_highest_mean() -> None:
    rates = {1e-4: [outcome(1e-4, v) for v in (0.5, 0.7)], 1e-3: [outcome(1e-3, v) for v in (0.65, 0.65)]}
    assert selection.best_rate(rates, "validation") == 1e-3
    rates[1e-4][0] = outcome(1e-4, 0.62)
    assert selection.best_rate(rates, "validation") == 1e-4


def test_a_rate_that_lost_a_seed_is_not_chosen_over_one_that_did_not() -> None:
    rates = {
        1e-4: [outcome(1e-4, 0.5, seed=seed) for seed in (0, 1)],
        1e-3: [outcome(1e-3, value, seed=seed) for seed, value in enumerate((0.9, None))],
    }
    assert selection.best_rate(rates, "validation") == 1e-4
    # Imported runs may repeat a seed: three runs of two seeds lost none, and are no more than two of two either.
    rates[1e-3] = [outcome(1e-3, value, seed=seed) for seed, value in ((0, 0.4), (0, 0.4), (1, 0.4))]
    assert selection.best_rate(rates, "validation") == 1e-4, "0.5 is more than 0.4"
    rates[1e-3] = [outcome(1e-3, value) for value in (0.9, None)]
    rates[1e-4] = [outcome(1e-4, None)] * 2
    assert selection.best_rate(rates, "validation") == 1e-3
    rates[1e-3] = [outcome(1e-3, None)] * 2
    assert selection.best_rate(rates, "validation") is None


def test_the_lower_rate_wins_a_tie_whatever_the_order() -> None:
    equal = {rate: [outcome(rate, 0.5)] for rate in (1e-2, 1e-4, 1e-3)}
    assert selection.best_rate(equal, "validation") == 1e-4


def test_the_held_out_part_can_choose() -> None:
    rates = {1e-4: [outcome(1e-4, 0.9, held_out=0.1)], 1e-3: [outcome(1e-3, 0.2, held_out=0.5)]}
    assert selection.best_rate(rates, "validation", held_out=True) == 1e-3


def test_every_state_is_told(tmp_path: Path) -> None:
    recipe = small()
    done, diverged, failed, damaged, *_ = runs(recipe)
    write(tmp_path, done, {"validation": {"accuracy": 0.6, "collapsed": True}})
    write(tmp_path, diverged, {}, "diverged")
    write(tmp_path, failed, {}, "failed", parameters=None, cost=None, environment=None, error="OutOfMemoryError: no")
    file = write(tmp_path, damaged, {"validation": {"accuracy": 0.6}})
    file.write_bytes(file.read_bytes().replace(b"0.6", b"0.9"))
    outcomes = selection.outcomes(plan.expand(recipe), tmp_path)
    assert [o.state for o in outcomes[:5]] == ["completed", "diverged", "failed", "damaged", "missing"]
    assert outcomes[0].value("validation", "accuracy") == 0.6
    assert outcomes[0].collapsed == {"validation"}
    assert [o.value("validation", "accuracy") for o in outcomes[1:5]] == [None] * 4
    assert "checksum" in outcomes[3].error
    assert outcomes[2].error == "OutOfMemoryError: no"


def test_a_record_that_bears_another_runs_id_is_damaged(tmp_path: Path) -> None:
    first, second, *_ = runs(small())
    file = write(tmp_path, first, {"validation": {"accuracy": 0.6}})
    file.rename(records.path(tmp_path, second))
    states = [o.state for o in selection.outcomes(plan.expand(small()), tmp_path)]
    assert states[:2] == ["missing", "damaged"]


def test_the_chooser_is_the_protocols_metric_or_the_tasks_first() -> None:
    assert selection.chooser(planned().run) == "accuracy"
    cola = runs(small(tasks=["cola"]))[0]
    assert selection.chooser(cola) == "matthews"
    assert selection.chooser(runs(small(tasks=["cola"], training={"metric": "accuracy"}))[0]) == "accuracy"


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_run_that_did_not_complete_has_no_value_even_with_evaluations(tmp_path: Path, status: str) -> None:
    run = runs(small())[0]
    evaluation = {"step": 1, "epoch": 1.0, "split": "validation", "loss": 0.1, "accuracy": 0.9}
    write(tmp_path, run, {}, status, evaluations=[evaluation])
    outcome = selection.outcomes(plan.expand(small()), tmp_path)[0]
    assert (outcome.state, outcome.value("validation", "accuracy")) == (status, None)
