"""`peftcli.load_records`: one tidy frame whose numbers are those of the records and of the tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import peftcli
from peftcli import records
from peftcli.errors import UserError
from tests.written_records import fill, runs, score_of, small, tabulate, unsynced, write


def test_the_frame_gives_the_tables_numbers(tmp_path: Path) -> None:
    recipe = small(seeds=4)
    fill(recipe, tmp_path, score_of)
    frame = peftcli.load_records(tmp_path)
    assert len(frame) == len(runs(recipe)) == 32
    chosen = frame[frame.counts].assign(score=frame.matthews.where(frame.task == "cola", frame.accuracy))
    means = chosen.groupby(["strategy", "task", "learning_rate"]).score.agg(["mean", "std"]) * 100
    for cell in tabulate(recipe, tmp_path).cells():
        by_rate = means.loc[(cell.strategy, cell.task)]
        assert by_rate["mean"].idxmax() == cell.learning_rate
        assert cell.mean == pytest.approx(by_rate["mean"].max())
        assert cell.std == pytest.approx(by_rate["std"][cell.learning_rate])


def test_every_evaluation_is_a_row_and_one_counts(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=[{"layernorm": {"layers": [1, 2]}}], training={"restore_best": True})
    run = runs(recipe)[0]
    scores = [0.5, 0.7, 0.6]
    evaluations = [
        {"step": at, "epoch": float(at), "split": "validation", "loss": 0.1, "accuracy": a}
        for at, a in enumerate(scores)
    ]
    write(tmp_path, run, {}, evaluations=evaluations)
    frame = peftcli.load_records(tmp_path)
    assert frame.accuracy.tolist() == scores
    assert frame.counts.tolist() == [False, True, False]
    first = frame.iloc[0]
    assert (first.id, first["option.layers"], first["protocol.batch_size"]) == (run.id, "1+2", 16)
    assert (first.trainable, first["cost.seconds"], first.seed) == (1000, 36.0, run.seed)


def test_runs_that_ended_otherwise_are_there_and_damaged_files_are_named(tmp_path: Path) -> None:
    done, diverged, failed, damaged, *_ = runs(small())
    with unsynced():
        write(tmp_path, done, {"validation": {"accuracy": 0.5}})
        write(tmp_path, diverged, {}, "diverged")
        write(tmp_path, failed, {}, "failed", parameters=None, cost=None, environment=None)
        file = write(tmp_path, damaged, {})
    file.write_text("{}")
    with pytest.warns(UserWarning, match="1 damaged or foreign files left out"):
        frame = peftcli.load_records(tmp_path)
    assert sorted(frame.status) == ["completed", "diverged", "failed"]
    assert frame.loc[frame.status != "completed", "split"].isna().all()
    assert frame.attrs["damaged"] == [str(file)]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        peftcli.load_records(tmp_path / "none")


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_record'"):
        _ = peftcli.load_record


def unlike(folder: Path, file: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a record once more with its run changed, as another version of the program would have it."""
    body = json.loads(file.read_text())
    del body["sha256"]
    change(body["run"])
    target = folder / file.parent.name / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(records.encode(body))
    return target


def test_a_record_that_lacks_a_setting_reads_as_what_was_done_then(tmp_path: Path) -> None:
    first, *_ = runs(small())
    with unsynced():
        file = write(tmp_path / "now", first, {"validation": {"accuracy": 0.5}})

    for change, setting, value in (
        (lambda run: run["protocol"].pop("precision"), "precision", "auto"),
        (lambda run: run["protocol"].pop("overlong"), "overlong", "truncate"),
        (lambda run: run["protocol"].pop("dropout_until"), "dropout_until", 1.0),
    ):
        older = tmp_path / f"without-{setting}"
        unlike(older, file, change)
        (row,) = peftcli.load_records(older).to_dict("records")
        assert (row[f"protocol.{setting}"], row["accuracy"], row["counts"]) == (value, 0.5, True)
        # It is the same run, so that a sweep and a report find it too.
        assert (found := records.find(older, first)) is not None
        assert found.run == first


def test_a_record_of_a_version_with_other_settings_is_left_out_and_named(tmp_path: Path) -> None:
    first, second, *_ = runs(small())
    with unsynced():
        file = write(tmp_path / "now", first, {"validation": {"accuracy": 0.5}})
        write(tmp_path / "later", second, {"validation": {"accuracy": 0.5}})

    def later(run: dict[str, Any]) -> None:
        run["protocol"]["lookahead"] = 3

    odd = unlike(tmp_path / "later", file, later)
    with pytest.warns(UserWarning, match="1 damaged or foreign files left out.*unknown setting 'lookahead'"):
        frame = peftcli.load_records(tmp_path / "later")
    assert list(frame.id) == [second.id]
    assert frame.attrs["damaged"] == [str(odd)]
