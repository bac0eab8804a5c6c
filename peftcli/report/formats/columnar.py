"""Columns as a file that other programs read: CSV, or parquet with its types. Numbers are exact to the bit in both. No torch."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from peftcli.errors import UserError, first_line, unknown
from peftcli.report.record_columns import Column


def writer(file: Path) -> Callable[[Sequence[Column]], bytes]:
    """Return what writes the format of a file's suffix. Raises UserError where there is none."""
    if file.suffix.lower() not in WRITERS:
        raise UserError(f"{file}: {unknown('ending', file.suffix, WRITERS)}")
    return WRITERS[file.suffix.lower()]


def as_csv(columns: Sequence[Column]) -> bytes:
    """Return UTF-8 CSV: a null is an empty field, a number the shortest that reads back exactly.

    Truth values are `true` and `false`, times `2026-11-27T03:16:15Z`.
    """
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(column.name for column in columns)
    lines.writerows(zip(*([_field(value) for value in column.values] for column in columns), strict=True))
    return stream.getvalue().encode("utf-8", _UNWRITABLE)


def as_parquet(columns: Sequence[Column]) -> bytes:
    """Return a parquet file: text, int64, float64, truth values and times in UTC, each with nulls."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    types[datetime] = pa.timestamp("ms", "UTC")
    arrays = {}
    for column in columns:
        values = column.values
        if column.kind is str:
            values = [v if v is None else v.encode("utf-8", _UNWRITABLE).decode() for v in values]
        try:
            arrays[column.name] = pa.array(values, types[column.kind])
        except (pa.ArrowException, OverflowError) as error:
            raise UserError(f"column {column.name} does not fit a parquet file: {first_line(error)}") from None
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(arrays), sink)
    return bytes(sink.getvalue().to_pybytes())


WRITERS = {".parquet": as_parquet, ".csv": as_csv}
# Half a character, as JSON may hold in an error's text, is in no UTF-8: it is written as its code.
_UNWRITABLE = "backslashreplace"


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return repr(value) if isinstance(value, float) else str(value)
