"""Columns as CSV and parquet: pandas, polars and duckdb read back the very numbers, nulls included."""

import csv
import io
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from peftcli.errors import UserError
from peftcli.report.formats import columnar
from peftcli.report.record_columns import Column

GENERATOR = np.random.default_rng(3)
# Every exponent and mantissa: numbers that a writer with 15 digits would change.
FLOATS = [float(x) for x in np.frombuffer(GENERATOR.bytes(8 * 400), np.float64) if np.isfinite(x)][:300]
ROWS = len(FLOATS)
COLUMNS = (
    Column("score", float, [None, -0.0, 5e-324, 0.1 + 0.2, *FLOATS[4:]]),
    Column("seed", int, [2**63 - 1, None, 2**53 + 1, *range(3, ROWS)]),
    Column("option.layers", str, [None, "1+2", 'a "quoted", field', "two\nlines", "ümlaut", *(["x"] * (ROWS - 5))]),
    Column("collapsed", bool, [True, False, None, *([False] * (ROWS - 3))]),
    Column("cost.ended", datetime, [None, *(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(n) for n in range(1, ROWS))]),
    Column("nothing", float, [None] * ROWS),
)


def bits(values: Any) -> list[bytes | None]:
    """The bytes of numbers, so that -0.0 is not 0.0; None where there is none."""
    return [None if value is None or value != value else struct.pack("d", value) for value in values]


def written(tmp_path: Path, form: str) -> Path:
    file = tmp_path / f"records.{form}"
    file.write_bytes(columnar.writer(file)(COLUMNS))
    return file


def check(read: dict[str, list[Any]]) -> None:
    """Compare what a library read with what was written."""
    assert list(read) == [column.name for column in COLUMNS]
    for column in COLUMNS:
        if column.kind is float:
            assert bits(read[column.name]) == bits(column.values)
        else:
            assert read[column.name] == column.values, column.name


def test_pandas_reads_a_parquet_file_with_whole_numbers_that_may_be_null(tmp_path: Path) -> None:
    frame = pandas.read_parquet(written(tmp_path, "parquet"), dtype_backend="numpy_nullable")
    assert [str(kind) for kind in frame.dtypes[:5]] == ["Float64", "Int64", "string", "boolean", "datetime64[ms, UTC]"]
    check({name: [None if pandas.isna(value) else value for value in frame[name].tolist()] for name in frame})


def test_pandas_reads_a_csv_to_the_bit(tmp_path: Path) -> None:
    frame = pandas.read_csv(written(tmp_path, "csv"), dtype_backend="numpy_nullable", float_precision="round_trip")
    assert bits([None if x is pandas.NA else x for x in frame["score"].tolist()]) == bits(COLUMNS[0].values)
    assert frame["seed"].tolist()[2:] == COLUMNS[1].values[2:]
    assert [None if x is pandas.NA else x for x in frame["collapsed"].tolist()] == COLUMNS[3].values


def test_polars_reads_both(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed here")
    frame = polars.read_parquet(written(tmp_path, "parquet"))
    assert frame.schema["seed"] == polars.Int64
    check(frame.to_dict(as_series=False))
    check(polars.read_csv(written(tmp_path, "csv"), schema=frame.schema).to_dict(as_series=False))


def test_duckdb_reads_both(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed here")
    for form in ("parquet", "csv"):
        rows = duckdb.sql(f"select * from '{written(tmp_path, form)}'")
        values = dict(zip(rows.columns, map(list, zip(*rows.fetchall(), strict=True)), strict=True))
        if form == "csv":  # a CSV has no type for a column without a value
            assert set(values.pop("nothing")) == {None}
            values["nothing"] = [None] * ROWS
        check(values)
    counted = duckdb.sql(f"""select count("option.layers") from '{tmp_path / "records.parquet"}'""").fetchall()
    assert counted == [(ROWS - 1,)]


def test_the_csv_is_plain(tmp_path: Path) -> None:
    columns = [Column("a", float, [1e-5, 0.1, 3.0, None]), Column("b", bool, [True, False, None, True])]
    assert columnar.as_csv(columns) == b"a,b\n1e-05,true\n0.1,false\n3.0,\n,true\n"
    lines = list(csv.reader(io.StringIO(columnar.as_csv(COLUMNS).decode(), newline="")))
    assert lines[4][2] == "two\nlines"
    assert len(lines) == ROWS + 1


def test_half_a_character_is_written_as_its_code(tmp_path: Path) -> None:
    columns = [Column("error", str, ["bad \ud800 text"])]
    assert columnar.as_csv(columns) == b"error\nbad \\ud800 text\n"
    file = tmp_path / "x.parquet"
    file.write_bytes(columnar.as_parquet(columns))
    assert pandas.read_parquet(file).error.tolist() == [r"bad \ud800 text"]


def test_what_does_not_fit_and_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"column cost\.tokens does not fit a parquet file"):
        columnar.as_parquet([Column("cost.tokens", int, [2**63])])
    for name in ("records.xlsx", "records", "records.parq", ".csv"):
        with pytest.raises(UserError, match=r"unknown ending .* known: \.parquet, \.csv"):
            columnar.writer(Path(name))
    assert columnar.writer(Path("records.CSV")) is columnar.as_csv
