"""Files of examples: each format as the usual library writes it, and what is wrong with a file in one line."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.tasks import tabular
from tests.material import PAIRS, write_table


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".ndjson", ".json", ".parquet"])
def test_columns_are_what_was_written(suffix: str, tmp_path: Path) -> None:
    file = write_table(tmp_path / f"x{suffix}", PAIRS)
    assert tabular.columns(file) == {name: [row[name] for row in PAIRS] for name in ("a", "b", "y")}
    assert tabular.read(file).to_pylist() == PAIRS


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_text("")
    with pytest.raises(UserError, match=r"x.xlsx: its suffix '.xlsx' is none of .csv, .tsv"):
        tabular.columns(tmp_path / "x.xlsx")


def test_a_key_that_a_line_lacks_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n{"b": "\u2028"}\n', encoding="utf-8")
    assert tabular.columns(tmp_path / "x.jsonl") == {"a": [1, None], "b": [None, "\u2028"]}


def test_tabs_part_fields_and_nothing_is_quoted(tmp_path: Path) -> None:
    rows = [{"a": 'He said "no', "y": "1"}, {"a": "", "y": "0"}]
    assert tabular.read(write_table(tmp_path / "x.tsv", rows)).to_pylist() == rows
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n")
    assert tabular.read(tmp_path / "bom.csv").to_pylist() == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_column_of_several_kinds(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": "x"}\n{"a": [1]}\n')
    with pytest.raises(UserError, match=r"x.jsonl: column 'a' mixes values of several kinds"):
        tabular.read(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.csv", "a,b,y\n1,2\n", "line 2 has 2 fields, and the first line 3"),
        ("train.csv", 'a,b,y\n"1,2,3\n', "line 2: unexpected end of data"),
        ("train.csv", "a,a,y\n1,2,3\n", "must name every column, each once"),
        ("train.csv", "a,b,y\n", "holds no rows"),
        ("train.jsonl", '{"a": 1}\nnot json\n', "line 2 is not JSON"),
        ("train.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("train.parquet", "no parquet", "cannot read"),
    ],
)
def test_what_is_wrong_with_a_file(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        tabular.columns(tmp_path / name)
    assert "\n" not in str(error.value)
