"""Reading a table of examples from one file: CSV, TSV, JSON lines or parquet. No torch."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError, first_line
from peftcli.files import read_text

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
LONGEST_FIELD = 10_000_000  # characters; Python's csv refuses fields over 131,072, which a long document may exceed


def read(file: Path) -> "pa.Table":
    """Read a file into a table, as `columns` does. Raises UserError, also where one column mixes types."""
    import pyarrow as pa

    if file.suffix == ".parquet":
        return _parquet(file)
    arrays: dict[str, Any] = {}
    for name, values in columns(file).items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, OverflowError):
            raise UserError(f"{file}: column {name!r} mixes values of several kinds") from None
    return pa.table(arrays)


def columns(file: Path) -> dict[str, list[Any]]:
    """Read a file's columns by name, in the format of its suffix; the values of a CSV or TSV are all text.

    CSV and TSV files name their columns in the first line; a CSV quotes with ", a TSV not at all. JSON lines (`.json`
    too) have one object a line, and a key that a line lacks is None there. Raises UserError where the file cannot be
    read or is not of that format.
    """
    if file.suffix not in SUFFIXES:
        raise UserError(f"{file}: its suffix {file.suffix!r} is none of {', '.join(SUFFIXES)}")
    if file.suffix == ".parquet":
        plain: dict[str, list[Any]] = _parquet(file).to_pydict()
        return plain
    text = read_text(file, "data file").removeprefix("\ufeff")  # the byte order mark that Excel writes
    rows = list(_separated(file, text) if file.suffix in (".csv", ".tsv") else _objects(file, text))
    if not rows:
        raise UserError(f"{file} holds no rows")
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def _parquet(file: Path) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"cannot read {file}: {first_line(error)}") from None


def _separated(file: Path, text: str) -> Iterator[dict[str, Any]]:
    quoting: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if file.suffix == ".tsv" else {"strict": True}
    csv.field_size_limit(LONGEST_FIELD)
    # Line ends are kept, for a quoted field may run over several lines.
    lines = csv.reader(text.splitlines(keepends=True), **quoting)
    try:
        names = next(lines, [])
        if len(set(names)) != len(names) or not all(names):
            raise UserError(f"{file}: its first line must name every column, each once")
        for fields in lines:
            if not fields:  # an empty line
                continue
            if len(fields) != len(names):
                raise UserError(
                    f"{file}: line {lines.line_num} has {len(fields)} fields, and the first line {len(names)}"
                )
            yield dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{file}: line {lines.line_num}: {error}") from None


def _objects(file: Path, text: str) -> Iterator[dict[str, Any]]:
    # Not splitlines, which also breaks at separators that JSON text may hold, such as U+2028.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{file}: line {number} is not JSON") from None
        if not isinstance(row, dict):
            raise UserError(f"{file}: line {number} is not a JSON object")
        yield row
