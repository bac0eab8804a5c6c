"""The files of a custom task: which belong to a split, what is held out of a single one, and labels as numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peftcli.data import corpora, loading, notes
from peftcli.errors import UserError
from peftcli.tasks import own_data, own_files, registry
from tests.material import PAIRS, describe, write_table


@pytest.fixture(autouse=True)
def said_before() -> Iterator[None]:
    notes.say.cache_clear()
    yield
    notes.say.cache_clear()


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
        UserError, match=r"train.csv: column 'y': row 0 \(from 0\): unknown label 'yes': .*known: on, off"
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
    task = own_data.task("mine", describe(tmp_path))
    table = own_files.tables(task, ("train",), tmp_path / "mine", ("a", "b", "y"))["train"]
    assert table.to_pylist() == [row | {"y": int(row["y"] == "yes")} for row in PAIRS]


def test_the_test_split_changes_no_fingerprint(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / "mine" / f"{split}.csv", PAIRS)
    before = own_files.fingerprint(tmp_path / "mine")
    write_table(tmp_path / "mine" / "test.csv", [{"a": "x", "b": "y"}])
    assert own_files.fingerprint(tmp_path / "mine") == before
    task = own_data.task("mine", describe(tmp_path))
    tables = own_files.tables(task, ("train",), tmp_path / "mine", ("a", "y"))
    assert list(tables) == ["train"]
    assert own_files.tables(task, ("test",), tmp_path / "mine", ("a", "b"))["test"].to_pylist() == [
        {"a": "x", "b": "y"}
    ]
    assert tables["train"]["y"].to_pylist() == [1, 0, 1, 0]  # no, yes
    write_table(tmp_path / "mine" / "validation.csv", PAIRS[:3])
    assert own_files.fingerprint(tmp_path / "mine") != before


def write_both(folder: Path, rows: list[dict[str, Any]], suffix: str = ".jsonl") -> Path:
    for split in ("train", "validation"):
        write_table(folder / "mine" / f"{split}{suffix}", rows)
    return folder / "mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test.csv", "a,b,y\nx,z,-1\n"),
        ("test.csv", "a,b,y\nx,z,?\n"),
        ("test.csv", "a,b,y\nx,z,\n"),
        ("test.csv", "a,b,y\n"),
        ("test.csv", "a,b\nx\n"),
        ("test.jsonl", '{"a": "x", "b": \n'),
        ("test.jsonl", '{"a": "x", "b": "z", "y": null}\n'),
        ("test.parquet", "no parquet"),
        ("test-one.csv", ""),
    ],
)
def test_a_test_file_that_nobody_asked_for_is_not_read(name: str, content: str, tmp_path: Path) -> None:
    folder = write_both(tmp_path, PAIRS)
    (folder / name).write_text(content)
    (folder / "test.tsv").write_text("")  # nor is it asked which of two test files is meant
    corpus = loading.read(own_data.task("mine", describe(tmp_path)), folder)
    assert {split: len(rows) for split, rows in corpus.rows.items()} == {"train": 4, "validation": 4}
    with pytest.raises(UserError, match=r"has test.* and test.*: keep one of them"):
        corpora.read(own_data.task("mine", describe(tmp_path)), ("test",), folder)


@pytest.mark.parametrize("label", [-1, "?", "", None, "unheard of", [1], {"x": 1}])
def test_a_split_is_read_without_its_labels(label: Any, tmp_path: Path) -> None:
    folder = write_both(tmp_path, PAIRS)
    write_table(folder / "test.jsonl", [{"a": "x", "b": "z", "y": label}, {"a": "", "b": "z", "y": "yes"}])
    task = own_data.task("mine", describe(tmp_path))
    assert corpora.read(task, ("test",), folder, task.inputs)["test"].to_pydict() == {"a": ["x", ""], "b": ["z", "z"]}
    if label != "":
        with pytest.raises(UserError, match=r"test.jsonl: column 'y'.*row 0 \(from 0\)"):
            corpora.read(task, ("test",), folder)
    (folder / "test.jsonl").unlink()
    with pytest.raises(UserError, match=r"mine' has no test file: test{.csv"):
        corpora.read(task, ("test",), folder, task.inputs)


def test_shards_may_differ_in_columns_that_the_task_does_not_use(tmp_path: Path) -> None:
    for at, extra in enumerate(({"x": 1}, {"x": "one"}, {"z": [1]}, {})):
        write_table(tmp_path / "mine" / f"train-{at}.parquet", [row | extra for row in PAIRS])
    write_table(tmp_path / "mine" / "dev.CSV".lower(), PAIRS).rename(tmp_path / "mine" / "Dev.CSV")
    corpus = loading.read(own_data.task("mine", describe(tmp_path)), tmp_path / "mine")
    assert corpus.rows["train"].columns["a"] == [row["a"] for row in PAIRS] * 4
    assert corpus.rows["validation"].columns["b"] == [row["b"] for row in PAIRS]


def test_a_missing_text_is_an_empty_one_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [PAIRS[0] | {"a": None}, PAIRS[1], PAIRS[2] | {"a": None}]
    folder = write_both(tmp_path, rows)
    (folder / "validation.jsonl").unlink()
    (folder / "validation.csv").write_text("a,b,y\n,b,yes\nx,,no\n")
    corpus = loading.read(own_data.task("mine", describe(tmp_path)), folder)
    assert corpus.rows["train"].columns["a"] == ["", "Été", ""]
    assert corpus.rows["validation"].columns == {"a": ["", "x"], "b": ["b", ""]}
    said = "train.jsonl: column 'a' has no text in 2 rows, first in row 0 (from 0): empty\n"
    assert capsys.readouterr().err == f"note: {folder}/{said}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("\ud800", r"train.jsonl: column 'a': row 1 \(from 0\) holds half a character: '\\ud800'"),
        (["x"], r"train.jsonl: column 'a': row 1 \(from 0\) holds a list, not text"),
        ({"x": 1}, r"train.jsonl: column 'a': row 1 \(from 0\) holds a dict, not text"),
    ],
)
def test_what_is_no_text_is_named_by_its_row(value: Any, message: str, tmp_path: Path) -> None:
    folder = write_both(tmp_path, [PAIRS[0], PAIRS[1] | {"a": value}])
    with pytest.raises(UserError, match=message):
        loading.read(own_data.task("mine", describe(tmp_path)), folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a b", r"row 1 \(from 0\) holds a str, not a list of words"),
        (None, r"row 1 \(from 0\) holds nothing, not a list of words"),
        (["a", None], r"row 1 \(from 0\) holds nothing among its words"),
        (["a", "\udfff"], r"row 1 \(from 0\) holds half a character"),
        (["a"], r"row 1 \(from 0\) has 1 words and 2 labels"),
    ],
)
def test_what_is_no_list_of_words(words: Any, message: str, tmp_path: Path) -> None:
    folder = write_both(tmp_path, [{"a": ["x", 7], "y": ["O", "B"]}, {"a": words, "y": ["B", "O"]}])
    with pytest.raises(UserError, match=message):
        loading.read(own_data.task("mine", describe(tmp_path, kind="token", text="a")), folder)


@pytest.mark.parametrize("score", ["nan", "inf", "n/a", float("inf"), "1e999", 10**400])
def test_scores_are_finite_numbers(score: Any, tmp_path: Path) -> None:
    folder = write_both(tmp_path, [PAIRS[0] | {"y": " 1.5"}, PAIRS[1] | {"y": True}, PAIRS[1] | {"y": score}])
    task = own_data.task("mine", describe(tmp_path, kind="regression"))
    with pytest.raises(
        UserError, match=r"train.jsonl: column 'y': label .* of row 2 \(from 0\) is not a finite number"
    ):
        loading.read(task, folder)
    table = own_files.table(task, [write_table(tmp_path / "x.csv", [{"a": "x", "b": "x", "y": "0.1"}])], ("y",))
    assert table["y"].to_pylist() == [0.1]


@pytest.mark.parametrize(("start", "read"), [("3", 3), (3, 3), (3.0, 3), ("x", None), (1.5, None), (10**30, None)])
def test_where_spans_start_is_a_whole_number_in_every_format(start: Any, read: int | None, tmp_path: Path) -> None:
    wsc = registry.get("wsc")
    row = {"text": "a b c d", "span1_text": "a", "span1_index": 0, "span2_text": "d", "span2_index": start}
    for suffix in (".csv", ".jsonl"):
        file = write_table(tmp_path / f"x{suffix}", [row])
        if read is None:
            with pytest.raises(UserError, match=r"column 'span2_index': row 0 \(from 0\) holds .*, not a whole number"):
                own_files.table(wsc, [file], wsc.inputs)
        else:
            assert own_files.table(wsc, [file], wsc.inputs)["span2_index"].to_pylist() == [read]


LISTED = {"text": "a", "kind": "token", own_data.COLUMN: "y", "labels": ["O", "B-PER", "I-PER"]}
TAGS = [[0, 1, 2], [0, 0, 1]]


@pytest.mark.parametrize(
    ("suffix", "tags", "expected"),
    [
        (".jsonl", TAGS, [0, 1, 2, 0, 0, 1]),
        (".parquet", TAGS, [0, 1, 2, 0, 0, 1]),
        (".jsonl", [["0", "1.0", "2"], [0.0, 0, 1]], [0, 1, 2, 0, 0, 1]),
        (".jsonl", [["O", "B-PER", "I-PER"], [-100, -100, -100]], [0, 1, 2, -100, -100, -100]),
        (".parquet", [[0, -100, 2], [-100, 0, 1]], [0, -100, 2, -100, 0, 1]),
    ],
)
def test_listed_labels_name_numbers_by_their_positions(
    suffix: str, tags: list[Any], expected: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_both(tmp_path, [{"a": ["x", "y", "z"], "y": of_row} for of_row in tags], suffix)
    described = describe(tmp_path, **LISTED)
    rows = loading.read(own_data.task("mine", described), tmp_path / "mine").rows["train"]
    assert (described["labels"], rows.labels.tolist()) == (["O", "B-PER", "I-PER"], expected)
    said = capsys.readouterr().err
    as_positions = "column 'y' holds numbers, taken as positions in the labels: 0 is 'O', 1 is 'B-PER', 2 is 'I-PER'"
    assert (as_positions in said) == ("O" not in tags[0])
    assert (f"-100 for {expected.count(-100)} words" in said) == (-100 in expected)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_listed_labels_name_the_numbers_of_sentences_too(suffix: str, tmp_path: Path) -> None:
    write_both(tmp_path, [{"a": "x", "y": y} for y in (1, 0, 1)], suffix)
    described = describe(tmp_path, text="a", labels=["neg", "pos"])
    rows = loading.read(own_data.task("mine", described), tmp_path / "mine").rows["validation"]
    assert rows.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "values", "message"),
    [
        (["neg", "pos"], [0, 2], r"row 1 \(from 0\) holds label 2, and there are 2 labels: 0 \(neg\) to 1 \(pos\)"),
        (["neg", "pos"], [0, -1], r"row 1 \(from 0\) holds label -1, and there are 2 labels"),
        (["neg", "pos"], ["neg", "1"], r"row 1 \(from 0\): unknown label '1': .*neg, pos"),
        (["neg", "1"], ["neg", "0"], r"row 1 \(from 0\): unknown label '0': .*neg, 1"),
        (["neg", "pos"], [-100, -100], r"row 0 \(from 0\) holds label -100, and there are 2 labels"),
    ],
)
def test_numbers_that_name_no_label(labels: list[str], values: list[Any], message: str, tmp_path: Path) -> None:
    write_both(tmp_path, [{"a": "x", "y": value} for value in values])
    task = own_data.task("mine", describe(tmp_path, text="a", labels=labels))
    with pytest.raises(UserError, match=rf"train.jsonl: column 'y': {message}"):
        loading.read(task, tmp_path / "mine")


def write_features(folder: Path, rows: list[dict[str, Any]], names: Any, splits: Any = ("train", "validation")) -> None:
    """Write rows as `datasets` does, their labels `y` as ClassLabel, in lists where they are lists."""
    import datasets

    of_label: Any = datasets.ClassLabel(names=names)
    features = datasets.Features(
        {
            "a": datasets.List(datasets.Value("string"))
            if isinstance(rows[0]["a"], list)
            else datasets.Value("string"),
            "y": datasets.List(of_label) if isinstance(rows[0]["y"], list) else of_label,
        }
    )
    folder.mkdir(exist_ok=True)
    for split in splits:
        datasets.Dataset.from_list(rows, features).to_parquet(str(folder / f"{split}.parquet"))


def test_a_file_s_class_names_are_the_labels_in_their_order(tmp_path: Path) -> None:
    write_features(tmp_path / "mine", [{"a": "x", "y": y} for y in (1, 0, 1)], ["yes", "no", "maybe"])
    described = describe(tmp_path, text="a")
    assert described["labels"] == ["yes", "no", "maybe"]
    rows = loading.read(own_data.task("mine", described), tmp_path / "mine").rows["train"]
    assert rows.labels.tolist() == [1, 0, 1]
    # One file in another order of the same names: each is read by its own.
    write_features(tmp_path / "mine", [{"a": "x", "y": y} for y in (1, 0, 2)], ["no", "yes", "so"], ["validation"])
    described = describe(tmp_path, text="a")
    assert described["labels"] == ["yes", "no", "maybe", "so"]
    rows = loading.read(own_data.task("mine", described), tmp_path / "mine").rows["validation"]
    assert rows.labels.tolist() == [0, 1, 3]


def test_class_names_of_tags_and_what_a_recipe_lists(tmp_path: Path) -> None:
    rows = [{"a": ["x", "y", "z"], "y": of_row} for of_row in TAGS]
    write_features(tmp_path / "mine", rows, ["O", "B-PER", "I-PER"])
    tags = {name: value for name, value in LISTED.items() if name != "labels"}
    described = describe(tmp_path, **tags, metric="entity_f1")
    assert (described["labels"], described["metrics"][0]) == (["O", "B-PER", "I-PER"], "entity_f1")
    read = loading.read(own_data.task("mine", described), tmp_path / "mine").rows["train"]
    assert read.labels.tolist() == [0, 1, 2, 0, 0, 1]
    listed = describe(tmp_path, **tags, labels=["B-PER", "I-PER", "O"])  # by name
    read = loading.read(own_data.task("mine", listed), tmp_path / "mine").rows["train"]
    assert read.labels.tolist() == [2, 0, 1, 2, 2, 0]


def test_class_names_that_are_numbers_and_hidden_labels(tmp_path: Path) -> None:
    # `class_encode_column` names what it finds, also numbers; a list then says what these are.
    write_features(tmp_path / "mine", [{"a": "x", "y": y} for y in (1, 0, 1)], ["0", "1"])
    task = own_data.task("mine", describe(tmp_path, text="a", labels=["neg", "pos"]))
    assert loading.read(task, tmp_path / "mine").rows["train"].labels.tolist() == [1, 0, 1]
    write_features(tmp_path / "mine", [{"a": "x", "y": y} for y in (1, -1)], ["neg", "pos"])
    with pytest.raises(UserError, match=r"train.parquet: column 'y' misses a label in row 1 \(from 0\)"):
        describe(tmp_path, text="a")
    write_features(tmp_path / "mine", [{"a": "x", "y": y} for y in (1, 0, 1)], ["neg", "pos"])
    task = own_data.task("mine", describe(tmp_path, text="a", kind="regression"))
    assert loading.read(task, tmp_path / "mine").rows["train"].labels.tolist() == [1.0, 0.0, 1.0]


def test_nothing_but_words_without_a_label(tmp_path: Path) -> None:
    write_both(tmp_path, [{"a": ["x"], "y": [-100]}])
    with pytest.raises(UserError, match="column 'y' has no label at all"):
        describe(tmp_path, text="a", kind="token")
