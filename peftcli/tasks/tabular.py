"""Reading a table of examples from a file of one's own: CSV, TSV, JSON lines or parquet. No torch."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError
from peftcli.files import read_text

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
LONGEST_FIELD = 10_000_000  # characters


def read(file: Path) -> "pa.Table":
    """Read a file into a table; see `columns`. Raises UserError."""
    import pyarrow as pa

    if file.suffix == ".parquet":
        return _parquet(file)
    made: dict[str, Any] = {}
    for name, values in columns(file).items():
        try:
            made[name] = pa.array(values)
        except (pa.ArrowException, OverflowError):
            raise UserError(f"{file}: column {name!r} mixes values of several kinds") from None
    return pa.table(made)


def columns(file: Path) -> dict[str, list[Any]]:
    """Read a file's columns by name, its kind told by its suffix; the values of a CSV or TSV are all text.

    A CSV's first line names its columns, and it quotes with ". A TSV does not quote at all. JSON lines (`.json` too) hold
    one object a line. Raises UserError where the file cannot be read or is not of its kind.
    """
    if file.suffix not in SUFFIXES:
        raise UserError(f"{file}: its suffix {file.suffix!r} is none of {', '.join(SUFFIXES)}")
    if file.suffix == ".parquet":
        found: dict[str, list[Any]] = _parquet(file).to_pydict()
        return found
    text = read_text(file, "data file").removeprefix("\ufeff")
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
        raise UserError(f"cannot read {file}: {str(error).partition(chr(10))[0][:200]}") from None


def _separated(file: Path, text: str) -> Iterator[dict[str, Any]]:
    quoting: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if file.suffix == ".tsv" else {"strict": True}
    csv.field_size_limit(LONGEST_FIELD)
    lines = csv.reader(text.splitlines(keepends=True), **quoting)
    try:
        names = next(lines, [])
        if len(set(names)) != len(names) or not all(names):
            raise UserError(f"{file}: its first line must name every column, each once")
        for fields in lines:
            if fields and len(fields) != len(names):
                raise UserError(
                    f"{file}: line {lines.line_num} has {len(fields)} fields, and the first line {len(names)}"
                )
            if fields:
                yield dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{file}: line {lines.line_num}: {error}") from None


def _objects(file: Path, text: str) -> Iterator[dict[str, Any]]:
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
