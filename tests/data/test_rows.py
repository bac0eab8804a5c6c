"""What is taken from a table, what is refused, and how data is compared with its task's row."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Features, Value

from peftcli.data import rows
from peftcli.errors import UserError
from peftcli.tasks import registry as tasks

RTE, STSB, CONLL, WSC = (tasks.get(name) for name in ("rte", "stsb", "conll2003", "wsc"))


def table(**columns: Any) -> pa.Table:
    defaults = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1], "idx": [5, 9]}
    return pa.table({name: values for name, values in {**defaults, **columns}.items() if values is not None})


def test_used_columns_and_labels_are_taken() -> None:
    read = rows.check(RTE, "train", table(extra=[1, 2]))
    assert read.columns == {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
    assert read.labels.tolist() == [0, 1]
    assert read.labels.dtype == np.int64
    assert read.numbers.tolist() == [5, 9]
    assert rows.check(RTE, "train", table(idx=None)).numbers.tolist() == [0, 1]
    assert rows.check(RTE, "train", table(idx=["x", "y"])).numbers.tolist() == [0, 1]


def test_regression_labels_are_real_numbers() -> None:
    read = rows.check(STSB, "train", table(label=pa.array([3.8, 0], pa.float32())))
    assert read.labels.dtype == np.float64
    assert read.labels.tolist() == [float(np.float32(3.8)), 0.0]


def test_words_and_their_labels_lie_end_to_end() -> None:
    read = rows.check(CONLL, "train", pa.table({"tokens": [["EU", "x"], [], ["y"]], "ner_tags": [[3, 0], [], [8]]}))
    assert read.columns == {"tokens": [["EU", "x"], [], ["y"]]}
    assert read.labels.tolist() == [3, 0, 8]
    assert rows.label_counts(CONLL, read) == (1, 0, 0, 1, 0, 0, 0, 0, 1)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.string(), 2), pa.large_list(pa.large_string()), pa.list_view(pa.string())]
)
def test_lists_of_every_kind_are_words(kind: pa.DataType) -> None:
    words = pa.array([["EU", "x"], ["y", "z"]], kind)
    read = rows.check(CONLL, "train", pa.table({"tokens": words, "ner_tags": pa.array([[3, 0], [1, 8]])}))
    assert read.columns == {"tokens": [["EU", "x"], ["y", "z"]]}
    tags = pa.array([[3, 0], [1, 8]], pa.list_(pa.int8(), 2))
    assert rows.check(CONLL, "train", pa.table({"tokens": words, "ner_tags": tags})).labels.tolist() == [3, 0, 1, 8]


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array(["a", "b"], pa.large_string()),
        pa.chunked_array([pa.array([value]).dictionary_encode() for value in "ab"]),
    ],
)
def test_texts_of_every_kind_are_text(texts: Any) -> None:
    assert rows.check(RTE, "train", table(sentence1=texts)).columns["sentence1"] == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sentence2": None}, "unknown column 'sentence2': did you mean 'sentence1'"),
        ({"label": None}, "unknown column 'label'"),
        ({"sentence1": ["a", None]}, r"column 'sentence1' misses its value 1 \(from 0\)"),
        ({"sentence1": [1.5, float("nan")]}, "column 'sentence1' holds double, not text"),
        ({"label": [0, 2]}, r"label 2 at 1 \(from 0\); known: 0 \(entailment\), 1 \(not_entailment\)"),
        ({"label": [-1, 0]}, "label -1 at 0"),
        ({"label": [0, None]}, "column 'label' misses its value 1"),
        ({"label": ["entailment", "x"]}, "column 'label' holds string, not labels as numbers"),
        ({"label": [0.0, 1.0]}, "column 'label' holds double"),
    ],
)
def test_bad_columns_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        rows.check(RTE, "train", table(**columns))
    assert str(error.value).startswith("task rte, split train: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_label_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(UserError, match=r"label (nan|-?inf) at 1 \(from 0\) is not a finite number"):
        rows.check(STSB, "train", table(label=[1.0, bad]))


@pytest.mark.parametrize(
    ("tokens", "tags", "message"),
    [
        ([["a", "b"]], [[0]], r"row 0 \(from 0\) has 2 words and 1 labels"),
        ([["a", None]], [[0, 0]], "column 'tokens' misses its value 1"),
        ([["a"], None], [[0], [0]], "column 'tokens' misses its value 1"),
        (["a b"], [[0, 0]], "column 'tokens' holds string, not lists of words"),
        ([[1, 2]], [[0, 0]], "column 'tokens' holds int64, not text"),
        ([["a"]], [[9]], "label 9 at 0"),
        ([["a"]], [3], "column 'ner_tags' holds int64, not lists of labels"),
        ([["a"]], [[None]], "column 'ner_tags' misses its value 0"),
    ],
)
def test_bad_sentences_are_refused(tokens: list[Any], tags: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        rows.check(CONLL, "train", pa.table({"tokens": tokens, "ner_tags": tags}))


def test_span_places_must_be_whole_numbers() -> None:
    columns = {"text": ["a b"], "span1_text": ["a"], "span2_text": ["b"], "label": [0]}
    with pytest.raises(UserError, match="column 'span2_index' holds double, not a whole number"):
        rows.check(WSC, "train", pa.table({**columns, "span1_index": [0], "span2_index": [1.0]}))


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(UserError, match="task rte, split validation: no rows"):
        rows.check(RTE, "validation", table().slice(0, 0))


def small(**columns: Any) -> rows.Rows:
    return rows.check(RTE, "train", table(**columns))


def test_the_fingerprint_is_of_what_is_used() -> None:
    first = rows.fingerprint({"train": small()})
    assert first == rows.fingerprint({"train": small(idx=[0, 1], extra=["x", "y"])})
    chunked = pa.concat_tables([table().slice(0, 1), table().slice(1)])
    assert first == rows.fingerprint({"train": rows.check(RTE, "train", chunked)})
    others = [
        {"train": small(label=[1, 1])},
        {"train": small(sentence1=["a", "B"])},
        {"train": small(sentence1=["c", "d"], sentence2=["a", "b"])},
        {"train": small(sentence1=["b", "a"], sentence2=["d", "c"], label=[1, 0])},
        {"validation": small()},
        {"train": small(), "validation": small()},
    ]
    assert len({first, *map(rows.fingerprint, others)}) == 7


def test_differences_name_what_was_read_and_what_should_be() -> None:
    task = replace(RTE, sizes={"train": 2}, counts={"train": (1, 1)})
    assert rows.differences(task, {"train": small()}) == ()
    assert rows.differences(replace(task, sizes={"train": 3}), {"train": small()}) == ("split train: 2 rows, not 3",)
    differences = rows.differences(task, {"train": small(label=[1, 1])})
    assert differences == ("split train: 0, 2 of the labels, not 1, 1",)


def test_label_names_in_another_order_are_a_difference() -> None:
    task = replace(RTE, sizes={}, counts={})
    for names, differ in ((["entailment", "not_entailment"], 0), (["not_entailment", "entailment"], 1)):
        features = Features(
            {**dict.fromkeys(("sentence1", "sentence2"), Value("string")), "label": ClassLabel(names=names)}
        )
        read = rows.check(task, "train", table(idx=None).cast(features.arrow_schema))
        assert len(rows.differences(task, {"train": read})) == differ
