"""Records as rows: the scores that count, or every evaluation; no run is missing, and damaged files are named."""

from pathlib import Path
from typing import Any

import pytest

import peftcli
from peftcli.errors import UserError
from peftcli.records import encode, read
from peftcli.report import record_rows
from peftcli.report.record_rows import Table
from tests.written_records import fill, runs, score_of, small, unsynced, write

CURVE = [
    {"step": step, "epoch": step / 10, "split": split, "loss": loss, "accuracy": score, "collapsed": score == 0.5}
    for step, score, loss in ((10, 0.5, 0.7), (20, 0.75, 0.5), (30, 0.625, 0.25))
    for split in ("validation", "test")
]
TRAINING = [{"step": step, "epoch": step / 10, "loss": step / 100, "learning_rate": 1e-4} for step in (5, 10, 15, 20)]


def by_name(table: Table) -> dict[str, list[Any]]:
    return {column.name: column.values for column in table.columns}


def test_a_run_s_row_has_the_evaluation_that_counts(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["layernorm:layers=2+3"], training={"restore_best": True})
    run = runs(recipe)[0]
    write(tmp_path, run, {}, evaluations=CURVE)
    table = record_rows.read(tmp_path, curves=False)
    columns = by_name(table)
    assert (table.rows, dict(table.runs), table.damaged) == (1, {"completed": 1}, ())
    expected = {
        "run": run.id,
        "label": "layernorm:layers=2+3",
        "option.layers": "2+3",
        "step": 20,
        "epoch": 2.0,
        "validation_accuracy": 0.75,
        "test_accuracy": 0.75,
        "validation_loss": 0.5,
        "validation_collapsed": False,
        "trainable": 1000,
        "protocol.restore_best": True,
        "protocol.betas": "0.9+0.999",
        "protocol.steps": None,
        "cost.seconds": 36.0,
        "environment.packages.torch": "2.13.0",
    }
    assert {name: columns[name][0] for name in expected} == expected


def test_with_curves_every_evaluation_is_a_row(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], training={"restore_best": True})
    write(tmp_path, runs(recipe)[0], {}, evaluations=CURVE, training=TRAINING)
    columns = by_name(record_rows.read(tmp_path, curves=True))
    assert columns["step"] == [10, 10, 20, 20, 30, 30]
    assert columns["split"] == ["validation", "test"] * 3
    assert columns["accuracy"] == [0.5, 0.5, 0.75, 0.75, 0.625, 0.625]
    assert columns["collapsed"] == [True, True, False, False, False, False]
    assert columns["counts"] == [False, False, True, True, False, False]
    assert columns["training_loss"] == [0.1, None, 0.2, None, None, None], "once a step, where one was noted"
    assert len(set(columns["run"])) == 1


def test_the_numbers_are_those_of_the_frame(tmp_path: Path) -> None:
    recipe = small()
    fill(recipe, tmp_path, score_of)
    columns = by_name(record_rows.read(tmp_path, curves=True))
    frame = peftcli.load_records(tmp_path)
    assert columns["run"] == frame.id.tolist()
    for name in ("seed", "learning_rate", "protocol.batch_size", "cost.tokens", "counts", "split"):
        assert columns[name] == frame[name].tolist(), name
    assert [score for score in columns["matthews"] if score is not None] == frame.matthews.dropna().tolist()


@pytest.mark.parametrize("curves", [False, True])
def test_runs_that_ended_otherwise_are_rows_and_damaged_files_are_named(tmp_path: Path, curves: bool) -> None:
    done, diverged, failed, damaged, older, *_ = runs(small(tasks=["rte"]))
    with unsynced():
        write(tmp_path, done, {"validation": {"accuracy": 0.5}})
        write(tmp_path, diverged, {}, "diverged", evaluations=CURVE[:1])
        write(tmp_path, failed, {}, "failed", parameters=None, cost=None, environment=None, data=None, error="it broke")
        file = write(tmp_path, damaged, {})
        other = write(tmp_path, older, {"validation": {"accuracy": 0.5}})
        protocol = {**older.protocol.model_dump(), "colour": "red"}
        other.write_bytes(encode({**read(other).body, "run": {**older.model_dump(), "protocol": protocol}}))
    file.write_text("{}")
    table = record_rows.read(tmp_path, curves)
    assert dict(table.runs) == {"completed": 1, "diverged": 1, "failed": 1}
    reasons = dict(table.damaged)
    assert set(reasons) == {file, other}
    assert "unknown setting 'colour'" in reasons[other]
    columns = by_name(table)
    rows = {status: at for at, status in enumerate(columns["status"])}
    assert columns["error"][rows["failed"]] == "it broke"
    for name in ("total", "trainable", "cost.seconds", "environment.device"):
        assert columns[name][rows["failed"]] is None
    # What a run reached before it diverged does not count, and is on its curve.
    score = columns["accuracy" if curves else "validation_accuracy"]
    assert score[rows["diverged"]] == (0.5 if curves else None)
    assert score[rows["failed"]] is None


def test_a_folder_without_a_sound_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no results folder .*nowhere"):
        record_rows.read(tmp_path / "nowhere", curves=False)
    with pytest.raises(UserError, match=r"holds no sound record, which lie in it as TASK/STRATEGY-ID\.json"):
        record_rows.read(tmp_path, curves=False)
    (tmp_path / "rte").mkdir()
    (tmp_path / "rte" / "full-0.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds no sound record: .*full-0\.json: not a record"):
        record_rows.read(tmp_path, curves=False)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ([1, 2], "1+2"),
        ([7], "7"),
        (["query", "value"], "query+value"),
        ([], "[]"),
        ({"r": 4}, '{"r": 4}'),
        ("II", "II"),
        ("2", '"2"'),
        ("true", '"true"'),
        ("a: b", '"a: b"'),
        ("nan", '"nan"'),
        ("", '""'),
        ("{", '"{"'),
        (2, 2),
        (0.1, 0.1),
        (None, None),
    ],
)
def test_values_are_written_as_they_are_read_back(value: Any, written: Any) -> None:
    assert record_rows.plain(value) == written
