"""Files of examples: each format as the usual libraries write it, what is read of it, and what is wrong in one line."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from peftcli.errors import UserError
from peftcli.tasks import tabular
from tests.material import PAIRS, write_table

ALL = ("a", "b", "y")


def read(file: Path, *names: str) -> dict[str, list[Any]]:
    return tabular.columns(file, names).values


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".CSV", ".Parquet"])
def test_columns_are_what_was_written(suffix: str, tmp_path: Path) -> None:
    file = write_table(tmp_path / f"x{suffix.lower()}", PAIRS).rename(tmp_path / f"x{suffix}")
    assert read(file, *ALL) == {name: [row[name] for row in PAIRS] for name in ALL}
    assert list(read(file, "y", "a")) == ["y", "a"]


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_text("")
    with pytest.raises(UserError, match=r"x.xlsx: its suffix '.xlsx' is none of .csv, .tsv"):
        read(tmp_path / "x.xlsx", "a")


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.json"])
def test_only_line_ends_end_a_row(name: str, sign: str, tmp_path: Path) -> None:
    rows = [{"a": f"one{sign}two", "y": "1"}, {"a": sign, "y": "0"}]
    if name.endswith("sv"):
        text = "".join(
            f"{row['a']}{',' if name == 'x.csv' else chr(9)}{row['y']}\n" for row in [{"a": "a", "y": "y"}, *rows]
        )
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    else:
        lines = [json.dumps(row, ensure_ascii=sign < " ") for row in rows]  # a control character is escaped in JSON
        text = "\n".join(lines) if name == "x.jsonl" else f"[{','.join(lines)}]"
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert read(tmp_path / name, "a", "y") == {"a": [f"one{sign}two", sign], "y": ["1", "0"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_and_line_ends_of_other_systems(encoding: str, end: str, tmp_path: Path) -> None:
    texts = {"x.csv": ["a,b", "é,2", "", "3,4"], "x.tsv": ["a\tb", "é\t2", "", "3\t4"]}
    texts["x.jsonl"] = ['{"a": "é", "b": "2"}', "", '{"a": "3", "b": "4"}']
    for name, lines in texts.items():
        (tmp_path / name).write_bytes(end.join([*lines, ""]).encode(encoding))
        assert read(tmp_path / name, "a", "b") == {"a": ["é", "3"], "b": ["2", "4"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "a,y\nfine,1\ncafé,0\n".encode("cp1252"), r"x.csv: line 3 is not UTF-8 text \(byte 0xE9\): save"),
        ("x.tsv", "a\ty\r\ncaf\xe9\t0\r\n".encode("cp1252"), r"x.tsv: line 2 is not UTF-8 text"),
        ("x.jsonl", '{"a": "x"}\r{"a": "“"}'.encode("cp1252"), r"x.jsonl: line 2 is not UTF-8 text \(byte 0x93\)"),
        ("x.csv", "a,y\nfine,1\n".encode("utf-16")[:-1], r"x.csv: line 2 is not UTF-16 text"),
    ],
)
def test_bytes_that_are_no_text(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name, "a")


MESSY = pd.DataFrame({"a": ["x", "y"], "y": ["no", "yes"], "extra": [1.5, None]})


def test_what_pandas_writes_by_default(tmp_path: Path) -> None:
    MESSY.to_csv(tmp_path / "x.csv")  # an index without a name
    MESSY.to_csv(tmp_path / "x.tsv", sep="\t")
    MESSY.to_json(tmp_path / "columns.json")
    MESSY.to_json(tmp_path / "indented.json", indent=2)
    MESSY.to_json(tmp_path / "records.json", orient="records")
    MESSY.to_json(tmp_path / "x.jsonl", orient="records", lines=True)
    MESSY.astype("category").to_parquet(tmp_path / "categorical.parquet")
    MESSY.set_index("extra").to_parquet(tmp_path / "indexed.parquet")
    pd.read_csv(tmp_path / "x.csv").to_csv(tmp_path / "twice.csv")  # "Unnamed: 0" beside a new index
    for file in tmp_path.iterdir():
        assert read(file, "a", "y") == {"a": ["x", "y"], "y": ["no", "yes"]}, file


def test_lists_of_every_kind_are_lists(tmp_path: Path) -> None:
    for at, kind in enumerate((pa.list_(pa.string()), pa.list_(pa.string(), 2), pa.large_list(pa.large_string()))):
        pq.write_table(pa.table({"words": pa.array([["a", "b"], ["c", "d"]], kind)}), tmp_path / f"{at}.parquet")
        assert read(tmp_path / f"{at}.parquet", "words") == {"words": [["a", "b"], ["c", "d"]]}


def test_columns_that_nobody_asked_for_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": "x", "b": "x"}\n{"a": "y", "b": [1]}\n{"a": "z", "c": {"d": null}}\n')
    (tmp_path / "x.csv").write_text("b,a,b,\n1,x,2,\n,y,,\n3,z,4,5\n")
    tags = pa.array([{"d": [{"e": 1}]}, None, {"d": []}])
    pq.write_table(pa.table([tags, tags, pa.array(["x", "y", "z"])], ["b", "b", "a"]), tmp_path / "x.parquet")
    for file in tmp_path.iterdir():
        assert read(file, "a") == {"a": ["x", "y", "z"]}
    with pytest.raises(UserError, match=r"x.csv: it has 2 columns 'b'"):
        read(tmp_path / "x.csv", "a", "b")
    with pytest.raises(UserError, match=r"x.parquet: it has 2 columns 'b'"):
        read(tmp_path / "x.parquet", "b")
    with pytest.raises(UserError, match=r"x.jsonl: row 0 \(from 0\) has no 'c'"):
        read(tmp_path / "x.jsonl", "c")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.csv", "a,b,y\n1,2\n", "line 2 has 2 fields, and the first line 3"),
        ("train.csv", 'a,b,y\n"1,2,3\n', "line 2: unexpected end of data"),
        ("train.csv", "a,a,y\n1,2,3\n", "it has 2 columns 'a'"),
        ("train.csv", "a,b,y\n", "holds no rows"),
        ("train.csv", "", "holds no rows"),
        ("train.tsv", "a\tb,y\n1\t2\n", "unknown column 'y': .*known: a, b,y"),
        ("train.jsonl", '{"a": 1, "y": 2}\nnot json\n', "line 2 is not JSON"),
        ("train.jsonl", '{"a": 1}\n[1]\n', r"row 1 \(from 0\) is not a JSON object"),
        ("train.json", "[1]\n", r"row 0 \(from 0\) is not a JSON object"),
        ("train.json", '[{"a": 1},\n{"a": }]', "line 2 is not JSON: Expecting value"),
        ("train.json", "[" * 100_000, "is not JSON"),
        ("train.json", "[]", "holds no rows"),
        ("train.json", "", "holds no rows"),
        ("train.parquet", "no parquet", "cannot read"),
    ],
)
def test_what_is_wrong_with_a_file(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / name, "a", "y")
    assert "\n" not in str(error.value)


def test_parquet_whose_text_is_none(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"a": broken}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"cannot read .*x.parquet: .*utf-8"):
        read(tmp_path / "x.parquet", "a")


def test_every_column_of_a_file_whatever_its_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,\n2,b\n")
    assert tabular.every_column(tmp_path / "a.csv").values == {"x": ["1", "2"], "y": ["", "b"]}
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n{"y": "b", "x": 2}\n')
    assert tabular.every_column(tmp_path / "a.jsonl").values == {"x": [1, 2], "y": [None, "b"]}
    for name, content, said in (
        ("b.csv", "x,x\n1,2\n", "2 columns 'x'"),
        ("b.jsonl", '{"x": 1}\n3\n', "row 1 .* is not a JSON object"),
        ("c.jsonl", "{}\n", "holds no rows"),
        ("d.csv", "x,y\n", "holds no rows"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=said):
            tabular.every_column(tmp_path / name)
