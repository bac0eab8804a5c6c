"""Rows of a table: what each is of, and what it measured."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.importing import rows
from peftcli.importing.rows import Measured
from tests import tables_of_runs
from tests.written_records import small


def test_a_row_has_what_its_columns_say(tmp_path: Path) -> None:
    said = {
        **{"run": 3, "task": "rte", "strategy": "full", "learning_rate": 1e-4, "seed": 85, "repeat": 1},
        **{"train_size": "all", "best_validation": 0.7, "first_best": 69, "last_best": 73, "step": 80, "epoch": 0.5},
        **{"test_loss": 1.8, "test_matthews": -0.5, "validation_metric": 0.25, "training_loss": 0.125, "total": 10},
        "evaluations": 200,
    }
    table = rows.read(tables_of_runs.write(tmp_path / "runs.csv", [said]), small(), {})
    (row,) = table.rows
    assert table.unknown == ("evaluations",)
    assert row.words == {"run": "3", "task": "rte", "strategy": "full"}
    assert (row.learning_rate, row.seed, row.repeat, row.settings) == (1e-4, 85, 1, {"train_size": "all"})
    assert (row.best, row.best_steps, row.parameters) == (
        {"validation": 0.7},
        {"first_best": 69, "last_best": 73},
        {"total": 10},
    )
    scores = {("test", "loss"): 1.8, ("test", "matthews"): -0.5, ("validation", None): 0.25}
    assert row.measured == Measured(80, 0.5, scores, 0.125)


def test_what_is_not_said_is_not_there(tmp_path: Path) -> None:
    said = [{"seed": 1, "test_accuracy": 0.5, "lr": None}, {"seed": 2, "test_accuracy": None, "lr": "1e-3"}]
    first, second = rows.read(tables_of_runs.write(tmp_path / "runs.tsv", said), small(), {}).rows
    assert (first.learning_rate, first.repeat, first.words, first.measured.step) == (None, 0, {}, None)
    assert (second.learning_rate, second.measured.scores, second.number) == (1e-3, {}, 1)


def test_a_plain_metric_is_of_the_row_s_split(tmp_path: Path) -> None:
    said = [{"seed": 1, "split": split, "accuracy": 0.5, "loss": 2.0} for split in ("train", "test")]
    read = rows.read(tables_of_runs.write(tmp_path / "runs.jsonl", said), small(), {}).rows
    assert [row.measured.scores for row in read] == [
        {(split, "accuracy"): 0.5, (split, "loss"): 2.0} for split in ("train", "test")
    ]
    with pytest.raises(UserError, match=r"row 0 .* of which split 'loss' is: name the column test_loss"):
        rows.read(tables_of_runs.write(tmp_path / "runs.csv", [{"seed": 1, "loss": 0.5}]), small(), {})
