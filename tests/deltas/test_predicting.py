"""Predictions on files and splits: those of a stock model, in the form of a table, of JSON lines, of the GLUE server."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from peftcli.cli import deltas as command
from peftcli.deltas import export
from peftcli.deltas import file as deltas
from peftcli.errors import UserError
from peftcli.records import beside
from peftcli.tasks import demo
from peftcli.tasks import registry as tasks
from tests import folders, trained
from tests.deltas import exports
from tests.material import write_split, write_table


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.bert(tmp_path_factory.mktemp("predict") / "base")


@pytest.fixture(scope="module")
def delta(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"epochs": 4, "max_train_samples": 128}
    record = trained.train(tmp_path_factory.mktemp("run"), base, "full", learning_rates=[5e-3], training=settings)[0]
    return beside.delta(record.path)


def written(delta: Path, base: Path, to: Path, source: Path | None = None, **more: Any) -> str:
    command.predict(delta, source, model=str(base), to=to, **more)
    return to.read_text()


@pytest.fixture(scope="module")
def stock(delta: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Each label's probability by the stock model, one example after another."""
    folder = tmp_path_factory.mktemp("stock") / "out"
    export.write(deltas.read(delta), str(base), folder, "transformers")
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    pairs = [(row["sentence1"], row["sentence2"]) for row in demo.rows("validation")]
    with torch.no_grad():
        found = [model(**tokenizer(*pair, return_tensors="pt")).logits[0].softmax(-1).numpy() for pair in pairs]
    return np.stack(found)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_file_s_rows_are_predicted_as_a_stock_model_does(
    suffix: str, delta: Path, base: Path, stock: np.ndarray, tmp_path: Path
) -> None:
    kept = ("sentence2", "sentence1", "idx")  # other columns, another order
    rows = [{name: row[name] for name in kept} for row in demo.rows("validation")]
    source = write_table(tmp_path / f"rows{suffix}", [row | {"idx": 7} for row in rows])
    labels = [demo.LABELS[at] for at in stock.argmax(-1)]
    assert len(set(labels)) == 2
    lines = written(delta, base, tmp_path / "out.tsv", source).splitlines()
    assert lines[0] == "index\tprediction"
    assert [line.split("\t") for line in lines[1:]] == [[str(at), label] for at, label in enumerate(labels)]
    found = [json.loads(line) for line in written(delta, base, tmp_path / "out.jsonl", source).splitlines()]
    assert [row["prediction"] for row in found] == labels
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in found], stock, atol=1e-5)


def test_the_split_of_a_task(delta: Path, base: Path, stock: np.ndarray, tmp_path: Path) -> None:
    lines = written(delta, base, tmp_path / "out.tsv", split="validation").splitlines()[1:]
    assert [line.split("\t")[1] for line in lines] == [demo.LABELS[at] for at in stock.argmax(-1)]


def test_pairs_are_joined_as_in_training(base: Path, tmp_path: Path) -> None:
    settings = {"epochs": 2, "max_train_samples": 128, "template": "{second} [SEP] so {first}", "max_length": 40}
    record = trained.train(tmp_path, base, "full", training=settings)[0]
    path = beside.delta(record.path)
    rows = [json.loads(line) for line in written(path, base, tmp_path / "out.jsonl", split="validation").splitlines()]
    export.write(deltas.read(path), str(base), tmp_path / "stock", "transformers")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "stock")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "stock")
    texts = [f"{row['sentence2']} [SEP] so {row['sentence1']}" for row in demo.rows("validation")[:32]]
    with torch.no_grad():
        wanted = [model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1).numpy() for text in texts]
    predicted = [list(row["probabilities"].values()) for row in rows[:32]]
    np.testing.assert_allclose(predicted, wanted, atol=1e-5)
    card = (tmp_path / "stock" / "README.md").read_text()
    (reads,) = [cells[1] for cells in exports.table(card, "What it is") if cells[0] == "reads"]
    assert reads.replace("\\", "") == 'sentence1 and sentence2, joined to one text as "{second} [SEP] so {first}"'


def test_bad_requests_are_refused_in_a_line(delta: Path, base: Path, tmp_path: Path) -> None:
    source = write_table(tmp_path / "rows.csv", [{"sentence1": "a", "sentnce2": "b"}])
    for more, message in (
        ({"source": source}, "unknown column 'sentence2': did you mean 'sentnce2'"),
        ({"source": tmp_path / "gone.csv"}, "cannot read"),
        ({"split": "tset"}, "unknown split of task demo 'tset': did you mean 'test'"),
        ({}, "--input FILE or --split NAME, one of them"),
        ({"source": source, "form": "xml"}, "unknown value of --format 'xml'"),
        ({"split": "validation", "task": "rte"}, "this delta is of task 'demo', not 'rte'"),
    ):
        with pytest.raises(UserError, match=message):
            written(delta, base, tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


GLUE = {
    "cola": {"0", "1"}, "sst2": {"0", "1"}, "mrpc": {"0", "1"}, "qqp": {"0", "1"}, "wnli": {"0", "1"},
    "rte": {"entailment", "not_entailment"}, "qnli": {"entailment", "not_entailment"},
    "mnli": {"entailment", "neutral", "contradiction"}, "stsb": set(),
}  # fmt: skip


def glue(folder: Path, task: tasks.Task, split: str, count: int, labelled: bool) -> None:
    """A split as the hub lays it out; a test split's labels are all -1."""
    rows = demo.rows("train" if split == "train" else "validation")[:count]
    columns: dict[str, Any] = {name: [row[f"sentence{at + 1}"] for row in rows] for at, name in enumerate(task.text)}
    choices = max(len(task.labels), 1)
    labels: list[float] = (
        [row["label"] + at % (choices - 1 or 1) for at, row in enumerate(rows)] if labelled else [-1] * count
    )
    numbers = [row["label"] * 9.0 if labelled else -1.0 for row in rows]
    columns["label"] = pa.array(
        numbers if task.kind == "regression" else labels, pa.float32() if not task.labels else pa.int64()
    )
    write_split(folder / "glue" / str(task.subset), split, columns | {"idx": list(range(count))[::-1]})


@pytest.mark.parametrize("name", GLUE)
def test_the_glue_server_s_file(name: str, base: Path, tmp_path: Path) -> None:
    task = tasks.get(name)
    tests = [split.replace("validation", "test") for split in task.evaluation]
    for split in ("train", *task.evaluation, *tests):
        glue(tmp_path, task, split, 24, split not in tests)
    changes = {"learning_rates": [2e-2], "data_dir": tmp_path, "training": {"max_length": 40, "epochs": 3}}
    record = trained.train(tmp_path, base, "bitfit", name, **changes)[0]
    text = written(beside.delta(record.path), base, tmp_path / "out.tsv", split=tests[-1], data_dir=tmp_path)
    header, *lines = text.splitlines()
    assert header == "index\tprediction"
    found = dict(line.split("\t") for line in lines)
    assert list(map(int, found)) == list(range(24))[::-1]
    if GLUE[name]:
        assert set(found.values()) <= GLUE[name]
    else:
        scores = list(map(float, found.values()))
        assert 0 <= min(scores) < max(scores) <= 5
    if name == "mnli":
        assert tests == ["test_matched", "test_mismatched"]
        with pytest.raises(UserError, match=r"unknown split of task mnli 'test': .*test_matched"):
            written(beside.delta(record.path), base, tmp_path / "x", split="test", data_dir=tmp_path)


def test_words_and_numbers_of_one_s_own_task(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained.write_rows(tmp_path / "mine")
    source = tmp_path / "mine" / "validation.jsonl"
    task = {"name": "mine", "data": "mine", "kind": "token", "text": "words", "label": "tags"}
    record = trained.train(tmp_path, base, "full", task, training={"epochs": 3})[0]
    of_words = beside.delta(record.path)
    lines = written(of_words, base, tmp_path / "out.tsv", source).splitlines()[1:]
    words = [row["words"] for row in trained.rows("validation", 24)]
    assert [len(line.split("\t")[1].split()) for line in lines] == [len(own) for own in words]
    # Words behind the maximum length, without a piece, of a sentence without any; and a sentence without words.
    words = [["hat"] * 100, ["Anna", "\u200b", "hat"], ["\u200b", ""], [], [*["hat"] * 31, "\u200b"]]
    odd = write_table(tmp_path / "odd.jsonl", [{"words": own} for own in words])
    rows = [json.loads(line) for line in written(of_words, base, tmp_path / "out.jsonl", odd).splitlines()]
    assert [(row["index"], row["words"]) for row in rows] == list(enumerate(words))
    read = [[at for at, label in enumerate(row["prediction"]) if label is not None] for row in rows]
    assert read == [list(range(30)), [0, 2], [], [], list(range(30))]
    assert [len(row["prediction"]) for row in rows] == list(map(len, words))
    alone = write_table(tmp_path / "alone.jsonl", [{"words": ["Anna", "hat"]}])
    (row,) = map(json.loads, written(of_words, base, tmp_path / "out.jsonl", alone).splitlines())
    assert rows[1]["prediction"] == [row["prediction"][0], None, row["prediction"][1]]
    said = capsys.readouterr().err
    assert "odd.jsonl: 71 words behind max_length 32 get no prediction" in said
    assert "odd.jsonl: 4 words of which the tokenizer leaves no word piece get no prediction" in said
    lines = written(of_words, base, tmp_path / "out.tsv", odd).splitlines()[1:]
    for line, row in zip(lines, rows, strict=True):
        labels = ["_" if label is None else label for label in row["prediction"]]
        assert line == f"{row['index']}\t{' '.join(labels)}"
    bare = write_table(tmp_path / "bare.jsonl", [{"words": []}, {"words": ["\u200b"]}])
    assert written(of_words, base, tmp_path / "out.tsv", bare) == "index\tprediction\n0\t\n1\t_\n"
    task = {"name": "mine", "data": "mine", "kind": "regression", "text": "sentence1", "label": "score"}
    record = trained.train(tmp_path, base, "full", task)[0]
    found = written(beside.delta(record.path), base, tmp_path / "out2.tsv", source).splitlines()[1:]
    assert len({float(line.split("\t")[1]) for line in found}) > 10


@pytest.mark.parametrize("label", ["_", "noun phrase", "x\u00a0"])
def test_labels_that_a_table_cannot_tell_apart_are_refused(label: str, base: Path, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / "mine" / f"{split}.jsonl", [{"words": ["hat", "cup"], "tags": ["O", label]}] * 4)
    task = {"name": "mine", "data": "mine", "kind": "token", "text": "words", "label": "tags"}
    delta = beside.delta(trained.train(tmp_path, base, "bitfit", task)[0].path)
    source = tmp_path / "mine" / "validation.jsonl"
    with pytest.raises(UserError, match=r"a table parts .* by spaces, and one is .*: --format jsonl"):
        written(delta, base, tmp_path / "out.tsv", source)
    rows = [json.loads(line) for line in written(delta, base, tmp_path / "out.jsonl", source).splitlines()]
    assert {one for row in rows for one in row["prediction"]} <= {"O", label}


@pytest.fixture(scope="module")
def of_own_data(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delta of a task of one's own, its files in `mine` beside the records."""
    folder = tmp_path_factory.mktemp("own")
    trained.write_rows(folder / "mine")
    task = {"name": "mine", "data": "mine", "text": ["sentence1", "sentence2"], "label": "y"}
    return beside.delta(trained.train(folder, base, "bitfit", task)[0].path)


@pytest.mark.parametrize(
    "content",
    [
        "sentence1,sentence2,y\na hat,a cup,-1\na cup,a hat,?\n",
        "sentence1,sentence2,y\na hat,a cup,\na cup,a hat,\n",
        "sentence2,sentence1\na hat,a cup\na cup,a hat\n",
        ",sentence1,sentence2,y\n0,a hat,a cup,nobody's\n1,a cup,a hat,1.5\n",
    ],
)
def test_a_test_split_is_predicted_whatever_its_labels_are(
    content: str, of_own_data: Path, base: Path, tmp_path: Path
) -> None:
    trained.write_rows(tmp_path / "mine")
    (tmp_path / "mine" / "test.csv").write_text(content)
    lines = written(of_own_data, base, tmp_path / "out.tsv", split="test", data_dir=tmp_path / "mine").splitlines()
    assert [line.partition("\t")[0] for line in lines] == ["index", "0", "1"]
    assert lines == written(of_own_data, base, tmp_path / "b.tsv", tmp_path / "mine" / "test.csv").splitlines()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence1,sentence2,y\n", "test.csv holds no rows"),
        ("sentence1,sentence2,y\na hat,a cup\n", "test.csv: line 2 has 2 fields, and the first line 3"),
        ("sentence1,y\na hat,x\n", "test.csv: unknown column 'sentence2': did you mean 'sentence1'"),
        (None, "has no test file"),
    ],
)
def test_a_test_split_that_cannot_be_read_is_a_line(
    content: str | None, message: str, of_own_data: Path, base: Path, tmp_path: Path
) -> None:
    trained.write_rows(tmp_path / "mine")
    if content is not None:
        (tmp_path / "mine" / "test.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        written(of_own_data, base, tmp_path / "out.tsv", split="test", data_dir=tmp_path / "mine")


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0c", "\x1e", "\r", "\n", '"', "\t"])
def test_a_prediction_for_each_row_whatever_is_in_its_text(
    sign: str, of_own_data: Path, base: Path, tmp_path: Path
) -> None:
    rows = [{"sentence1": f"{sign}{sign}a hat{sign}", "sentence2": sign} for _ in range(5)]
    table = pd.DataFrame(rows)
    table.to_csv(tmp_path / "x.csv", quoting=csv.QUOTE_ALL)
    table.to_csv(tmp_path / "x.tsv", quoting=csv.QUOTE_ALL, sep="\t")
    table.to_json(tmp_path / "x.jsonl", orient="records", lines=True, force_ascii=False)
    table.to_parquet(tmp_path / "x.parquet")
    outputs = {
        written(of_own_data, base, tmp_path / "out.jsonl", tmp_path / f"x.{form}")
        for form in ("csv", "tsv", "jsonl", "parquet")
    }
    (output,) = outputs  # from every format the same
    assert [json.loads(line)["index"] for line in output.splitlines()] == list(range(5))


def test_a_split_without_labels_is_not_evaluated(of_own_data: Path, base: Path, tmp_path: Path) -> None:
    trained.write_rows(tmp_path / "mine")
    rows = [{**row, "y": None} for row in trained.rows("validation", 24)]
    write_table(tmp_path / "mine" / "validation.jsonl", rows)
    with pytest.raises(UserError, match=r"validation.jsonl: column 'y' misses a label in row 0 \(from 0\)"):
        command.evaluate(of_own_data, model=str(base), data_dir=tmp_path / "mine")
