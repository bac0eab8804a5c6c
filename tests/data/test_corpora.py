"""Where rows are read from: folders laid out as the hub's repositories, and what is said where they are not."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from peftcli.data import corpora
from peftcli.errors import UserError
from peftcli.models import hub
from peftcli.tasks import demo
from peftcli.tasks import registry as tasks
from tests.material import REAL, needs_data, write_split

RTE, CB = tasks.get("rte"), tasks.get("cb")
ROWS = {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"], "label": [0, 1, 0]}


def rte(folder: Path, shards: int = 1) -> Path:
    for split in ("train", "validation"):
        write_split(folder / "glue" / "rte", split, ROWS, shards)
    return folder


@pytest.mark.parametrize("shards", [1, 3])
def test_a_folder_is_the_hubs_repository(tmp_path: Path, shards: int) -> None:
    read = corpora.read(RTE, ("train", "validation"), rte(tmp_path, shards))
    assert {split: table.to_pydict() for split, table in read.items()} == {"train": ROWS, "validation": ROWS}


def test_a_split_is_not_one_whose_name_begins_alike(tmp_path: Path) -> None:
    write_split(rte(tmp_path) / "glue" / "rte", "train-extra", {**ROWS, "label": [1, 1, 1]})
    assert corpora.read(RTE, ("train",), tmp_path)["train"].to_pydict() == ROWS


def test_the_layout_of_the_hubs_converted_branch(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for split in ("train", "validation"):
        (tmp_path / "super_glue" / "cb" / split).mkdir(parents=True)
        pq.write_table(pa.table(ROWS), tmp_path / "super_glue" / "cb" / split / "0000.parquet")
    assert len(corpora.read(CB, ("train", "validation"), tmp_path, ("label",))["validation"]) == 3


def test_the_synthetic_task_needs_no_files(tmp_path: Path) -> None:
    read = corpora.read(tasks.get("demo"), ("train", "validation"), tmp_path)
    assert {split: len(table) for split, table in read.items()} == demo.SIZES
    assert read["train"].to_pylist() == demo.rows("train")


def break_file(folder: Path) -> None:
    file = folder / "glue" / "rte" / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def garble(folder: Path) -> None:
    file = folder / "glue" / "rte" / "train-00000-of-00001.parquet"
    content = bytearray(file.read_bytes())
    content[8:60] = b"\xff" * 52
    file.write_bytes(content)


def empty(folder: Path) -> None:
    (folder / "glue" / "rte" / "train-00000-of-00001.parquet").write_bytes(b"")


def lose_a_shard(folder: Path) -> None:
    rte(folder, 3)
    (folder / "glue" / "rte" / "train-00000-of-00001.parquet").unlink()
    (folder / "glue" / "rte" / "train-00001-of-00003.parquet").unlink()


def lose_a_split(folder: Path) -> None:
    (folder / "glue" / "rte" / "train-00000-of-00001.parquet").unlink()


def lose_the_subset(folder: Path) -> None:
    (folder / "glue" / "rte").rename(folder / "glue" / "rtee")


def lose_the_data_set(folder: Path) -> None:
    (folder / "glue").rename(folder / "GLUE")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_file, "cannot read .*train-00000-of-00001.parquet"),
        (garble, "cannot read .*train-00000-of-00001.parquet"),
        (empty, "cannot read .*train-00000-of-00001.parquet"),
        (lose_a_shard, "has no whole split 'train'.*it holds train-00000-of-00003.parquet"),
        (lose_a_split, "has no whole split 'train'.*it holds validation-00000-of-00001.parquet"),
        (lose_the_subset, "unknown subset of nyu-mll/glue 'rte': did you mean 'rtee'"),
        (lose_the_data_set, "has no folder 'glue' for nyu-mll/glue; it holds GLUE"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    damage(rte(tmp_path))
    with pytest.raises(UserError, match=message) as error:
        corpora.read(RTE, ("train", "validation"), tmp_path)
    assert "\n" not in str(error.value)


def test_files_with_unlike_columns_are_refused(tmp_path: Path) -> None:
    rte(tmp_path, 2)
    write_split(tmp_path / "odd", "train", {"sentence1": [1, 2, 3]}, 2)
    (tmp_path / "odd" / "train-00001-of-00002.parquet").rename(tmp_path / "glue/rte/train-00001-of-00002.parquet")
    with pytest.raises(UserError, match=r"train-00001-of-00002.parquet: unknown column 'sentence2'.*known: sentence1$"):
        corpora.read(RTE, ("train",), tmp_path)
    write_split(tmp_path / "odd", "train", {**ROWS, "sentence1": [["x"], ["y"], ["z"]]}, 2)
    (tmp_path / "odd" / "train-00001-of-00002.parquet").rename(tmp_path / "glue/rte/train-00001-of-00002.parquet")
    with pytest.raises(UserError, match="differ in their columns"):
        corpora.read(RTE, ("train",), tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"other": [1, 2, 3]}, id="other kinds"),
        pytest.param({"other": [{"x": [1]}] * 3}, id="nested"),
        pytest.param({"another": ["x", "y", "z"]}, id="other names"),
        pytest.param({"sentence1": pa.array(["a", "b", "c"], pa.large_string())}, id="large text"),
        pytest.param({"label": pa.array([0, 1, 0], pa.int8())}, id="small numbers"),
    ],
)
def test_files_may_differ_in_columns_that_no_task_uses(tmp_path: Path, other: dict[str, Any]) -> None:
    rte(tmp_path, 2)
    write_split(tmp_path / "odd", "train", {**ROWS, **other, "idx": [7, 8, 9]}, 1)
    write_split(tmp_path / "glue" / "rte", "train", {**ROWS, "other": ["x", "y", "z"], "idx": [4, 5, 6]}, 2)
    (tmp_path / "odd" / "train-00000-of-00001.parquet").rename(tmp_path / "glue/rte/train-00001-of-00002.parquet")
    read = corpora.read(RTE, ("train",), tmp_path)["train"].to_pydict()
    assert read == {**{name: values[:2] + values for name, values in ROWS.items()}, "idx": [4, 5, 7, 8, 9]}


def test_the_data_folder_is_given_or_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTCLI_DATA_DIR", raising=False)
    assert corpora.data_folder(None) is None
    monkeypatch.setenv("PEFTCLI_DATA_DIR", str(tmp_path))
    assert corpora.data_folder(None) == tmp_path.resolve()
    assert corpora.data_folder(tmp_path / "..") == tmp_path.parent.resolve()
    with pytest.raises(UserError, match=r"data folder '.*none' does not exist"):
        corpora.data_folder(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        corpora.data_folder(tmp_path / "file")


def test_without_cache_and_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "cached", lambda *_: None)
    monkeypatch.setattr(hub, "prepared", lambda *_: None)
    monkeypatch.setattr(hub, "reachable", lambda: False)
    with pytest.raises(
        UserError, match=r"nyu-mll/glue \(rte\) is not in the local cache.*--data-dir D.*peftcli prefetch"
    ):
        corpora.read(RTE, ("train",), None)


def test_the_clients_error_becomes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise RuntimeError("429 Too Many Requests\nand more")

    monkeypatch.setattr(hub, "cached", lambda *_: None)
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "download", fail)
    with pytest.raises(UserError, match=r"cannot download data set 'nyu-mll/glue': 429 Too Many Requests$"):
        corpora.read(RTE, ("train",), None)


@needs_data
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_entities_of_conll(split: str) -> None:
    tags = corpora.read(tasks.get("conll2003"), (split,), REAL)[split]["ner_tags"].to_pylist()
    begins = {number for number, label in enumerate(tasks.NER) if label.startswith("B-")}
    entities = sum(tag in begins for sentence in tags for tag in sentence)
    assert entities == {"train": 23499, "validation": 5942, "test": 5648}[split]
    assert len(tags) == {"train": 14041, "validation": 3250, "test": 3453}[split]
    counts = tasks.get("conll2003").counts[split]
    assert sum(counts) == {"train": 203621, "validation": 51362, "test": 46435}[split]
    assert sum(counts[1::2]) == entities
