"""The files of a custom task: which belong to a split, what is held out of a single one, and labels as numbers."""

from pathlib import Path

import pytest

from peftcli.data import loading
from peftcli.errors import UserError
from peftcli.tasks import own_data, own_files
from tests.material import PAIRS, describe, write_table


def test_a_single_file_holds_a_tenth_out(tmp_path: Path) -> None:
    rows = [{"a": f"t{at}", "b": "x", "y": at % 2} for at in range(50)]
    write_table(tmp_path / "mine.csv", rows)
    described = describe(tmp_path, data="mine.csv")
    splits = loading.read(own_data.task("mine", described), tmp_path / "mine.csv").rows
    texts = {split: rows.columns["a"] for split, rows in splits.items()}
    assert (len(texts["train"]), len(texts["validation"])) == (45, 5)
    assert {*texts["train"], *texts["validation"]} == {row["a"] for row in rows}
    assert (
        loading.read(own_data.task("mine", described), tmp_path / "mine.csv").rows["validation"].columns["a"]
        == texts["validation"]
    )


def test_two_files_of_one_split_and_labels_that_nobody_named(tmp_path: Path) -> None:
    for name in ("train.csv", "validation.csv"):
        write_table(tmp_path / "mine" / name, PAIRS)
    with pytest.raises(
        UserError, match=r"task mine, split train: row 0 \(from 0\): unknown label 'yes': .*known: on, off"
    ):
        loading.read(own_data.task("mine", describe(tmp_path, labels=["on", "off"])), tmp_path / "mine")
    with pytest.raises(UserError, match="label 'yes' of row 0"):
        loading.read(own_data.task("mine", describe(tmp_path, kind="regression")), tmp_path / "mine")
    write_table(tmp_path / "mine" / "train.jsonl", PAIRS)
    with pytest.raises(UserError, match=r"has train.csv and train.jsonl: keep one of them"):
        describe(tmp_path)


def test_shards_are_one_split(tmp_path: Path) -> None:
    for at, part in enumerate((PAIRS[:2], PAIRS[2:])):
        write_table(tmp_path / "mine" / f"train-0000{at}-of-00002.parquet", part)
    write_table(tmp_path / "mine" / "validation.parquet", PAIRS)
    assert own_files.read(tmp_path / "mine")["train"].to_pylist() == PAIRS


def test_the_test_split_changes_no_fingerprint(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / "mine" / f"{split}.csv", PAIRS)
    before = own_files.fingerprint(tmp_path / "mine")
    write_table(tmp_path / "mine" / "test.csv", [{"a": "x", "b": "y"}])
    assert own_files.fingerprint(tmp_path / "mine") == before
    task = own_data.task("mine", describe(tmp_path))
    tables = own_files.tables(task, tmp_path / "mine")
    assert tables["test"].to_pylist() == [{"a": "x", "b": "y"}]
    assert tables["train"]["y"].to_pylist() == [1, 0, 1, 0]  # no, yes
    write_table(tmp_path / "mine" / "validation.csv", PAIRS[:3])
    assert own_files.fingerprint(tmp_path / "mine") != before
