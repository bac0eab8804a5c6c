"""A table of the user's own gives the same examples from a CSV, a TSV, JSON and parquet, or none of them is taken."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from peftcli.data import corpora, rows
from peftcli.deltas import predicting
from peftcli.errors import UserError
from peftcli.tasks import own_data, own_files
from tests.material import describe

# What breaks lines for some programs and is text in a file of examples, and what quoting is about.
BREAKS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r\n\t"
TEXTS = st.text(st.sampled_from(f"ab1é😀 ,;'\"\\|#\0{BREAKS}"), max_size=6)
NUMBERS = st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)
COLUMNS = st.sampled_from([TEXTS, TEXTS, st.text(max_size=3, alphabet="xy"), NUMBERS, st.floats(-9, 9), st.booleans()])
WORDS = ["None", "nan", "NA", "null", "inf", "yes", "no", "on", "off", "1e5", "0x1", "good", "é"]
LABELS = [
    *([word, "other"] for word in WORDS),
    *([0, 1], [1.0, 0.0], ["0", "0.0", "1"], ["01", "1", "2"], [True, False], ["true", "false"], ["10", "9", "1e1"]),
    *(["good", " good", "bad"], ["A", "a", "b"], ["0", "0.0", "x"], [0.5, 1.0], ["only", "only"]),
]  # fmt: skip
PLACE = re.compile(r"row \d+ \(?from 0|line \d+|row \d+ \(from 0\)")
OF_THE_COLUMN = re.compile("has one label alone|holds numbers such as")  # no row is to blame
ENDS, ENCODINGS = ("\n", "\r\n", "\r"), ("utf-8", "utf-8-sig", "utf-16")


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with two texts and a label, of any type each, some of them missing."""
    size = draw(st.integers(2, 6))
    rows_of: dict[str, list[Any]] = {}
    for name in ("a", "b"):
        column = draw(COLUMNS)
        values = column | st.none() if draw(st.integers(0, 3)) == 0 else column
        rows_of[name] = draw(st.lists(values, min_size=size, max_size=size))
    choices = draw(st.sampled_from(LABELS))
    answers = [*choices, *([None] if draw(st.integers(0, 9)) == 0 else [])]
    rows_of["y"] = draw(st.lists(st.sampled_from(answers), min_size=size, max_size=size))
    return [dict(zip(rows_of, row, strict=True)) for row in zip(*rows_of.values(), strict=True)]


def separated(table: list[dict[str, Any]], delimiter: str, end: str, quoting: Any) -> str:
    stream = io.StringIO(newline="")
    # Python's writer leaves a \r unquoted where lines end otherwise, which no reader can take.
    lone = any("\r" in str(value) or "\n" in str(value) for row in table for value in row.values())
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if lone else quoting)
    writer.writerow(table[0])
    writer.writerows(["" if value is None else value for value in row.values()] for row in table)
    return stream.getvalue()


def column(values: list[Any], large: bool) -> pa.Array:
    array = pa.array(values)
    if not pa.types.is_string(array.type):
        return array
    return array.cast(pa.large_string()) if large else array.dictionary_encode()


def write(folder: Path, table: list[dict[str, Any]], draw: Any) -> list[Path]:
    """Write the table in every format, with encodings, line ends and quoting as drawn; a folder each."""
    end, encoding = draw(st.sampled_from(ENDS)), draw(st.sampled_from(ENCODINGS))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    ascii_only = draw(st.booleans())
    lines = end.join(json.dumps(row, ensure_ascii=ascii_only) for row in table)
    # pandas writes an index without a name; other columns are of no concern, whatever they hold.
    indexed = [{"": at, **row, "other": "x" * at} for at, row in enumerate(table)]
    texts = {
        "csv": separated(indexed, ",", end, quoting),
        "tsv": separated(table, "\t", end, quoting),
        "jsonl": lines + end,
        "json": json.dumps(table, ensure_ascii=ascii_only, indent=draw(st.sampled_from([None, 1]))),
    }
    for form, text in texts.items():
        (folder / form).mkdir(parents=True, exist_ok=True)
        for split in ("train", "validation"):
            (folder / form / f"{split}.{form}").write_bytes(text.encode(encoding))
    large = draw(st.booleans())
    (folder / "parquet").mkdir(exist_ok=True)
    arrays = {name: column([row[name] for row in table], large) for name in table[0]}
    nested = pa.array([{"x": [at]} for at in range(len(table))])
    for split in ("train", "validation"):
        pq.write_table(pa.table({**arrays, "other": nested}), folder / "parquet" / f"{split}.parquet")
    return [folder / form for form in (*texts, "parquet")]


def examples(folder: Path) -> tuple[Any, ...] | str:
    """What is read of a folder: texts, labels and their names; or why nothing is."""
    try:
        described = describe(folder.parent, data=folder.name)
        task = own_data.task("mine", described)
        read = rows.check(task, "train", corpora.read(task, ("train",), folder)["train"])
    except UserError as error:
        return str(error)
    return tuple(read.columns["a"]), tuple(read.columns["b"]), tuple(read.labels.tolist()), tuple(described["labels"])


def same_examples_or_none(table: list[dict[str, Any]], data: st.DataObject, tmp_path: Path) -> None:
    outcomes = {folder.name: examples(folder) for folder in write(tmp_path, table, data.draw)}
    if "write it as a CSV" in outcomes["tsv"]:
        del outcomes["tsv"]  # its quotes have two readings, and it says so
    refused = {form: why for form, why in outcomes.items() if isinstance(why, str)}
    event("refused" if refused else "read")
    if refused:
        assert set(refused) == set(outcomes), outcomes
        for why in refused.values():
            assert PLACE.search(why) or OF_THE_COLUMN.search(why), why
        return
    assert len(set(outcomes.values())) == 1, outcomes
    first, second, *_ = outcomes["parquet"]
    # A missing text is an empty one, and a number is what a CSV holds of it.
    assert list(first) == ["" if row["a"] is None else str(row["a"]) for row in table]
    assert list(second) == ["" if row["b"] is None else str(row["b"]) for row in table]


TASK = own_data.task("mine", {"kind": "sentence", "text": ["a"], "labels": ["x", "y"], "metrics": [], "label": "y"})


def a_row_for_each_row(table: list[dict[str, Any]], data: st.DataObject, tmp_path: Path) -> None:
    alone = [{"a": row["a"]} for row in table]
    refusals = []
    for written in (table, alone):
        for folder in write(tmp_path, written, data.draw):
            (file,) = folder.glob("train.*")
            try:
                read = predicting.unlabelled(TASK, file.name, own_files.table(TASK, [file], TASK.inputs))
            except UserError as error:
                refusals.append((file.suffix, "write it as a CSV" in str(error)))
                continue
            assert read.numbers.tolist() == list(range(len(table)))
            assert read.columns["a"] == ["" if row["a"] is None else str(row["a"]) for row in table]
    assert set(refusals) <= {(".tsv", True)}


def drawn(check: Callable[..., None], count: int) -> Callable[..., None]:
    of_count = settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    test: Callable[..., None] = of_count(given(table=tables(), data=st.data())(check))
    return test


test_every_format_gives_the_same_examples_or_none = drawn(same_examples_or_none, 50)
test_what_is_predicted_on_has_a_row_for_each_row = drawn(a_row_for_each_row, 25)
test_many_tables_give_the_same = pytest.mark.whole(drawn(same_examples_or_none, 300))
test_many_tables_are_predicted_on = pytest.mark.whole(drawn(a_row_for_each_row, 150))
