"""Reading the columns of a file that a task uses: CSV, TSV, JSON or parquet. What else the file holds is left alone."""

import codecs
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peftcli.errors import UserError, first_line, unknown
from peftcli.tasks import class_names, delimited

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Columns:
    """Columns of one file by name, each [rows] of plain values, and what was taken of the file that may be meant otherwise.

    `classes` are the names of the columns whose numbers the file itself names.
    """

    values: dict[str, list[Any]]
    note: str | None = None
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))


def columns(file: Path, names: Sequence[str]) -> Columns:
    """Read columns of a file, in the format of its suffix; the values of a CSV or TSV are all text.

    CSV and TSV files name their columns in the first line. JSON is one object a line, an array of objects, or an object
    of columns as pandas writes it. Raises UserError where the file cannot be read, is not of that format, lacks a
    column or has it twice, lacks it in one row, or holds no rows.
    """
    return _read(file, names)


def every_column(file: Path) -> Columns:
    """Read all columns of a file, as `columns` does; a JSON object that lacks one has None there.

    Raises UserError as `columns` does.
    """
    return _read(file, None)


def _read(file: Path, names: Sequence[str] | None) -> Columns:
    """Read columns of a file, all where no names are given."""
    form = _form(file)
    if form == ".parquet":
        read = _parquet(file, names)
    elif form in (".csv", ".tsv"):
        read = _separated(file, _text(file), form, names)
    else:
        read = Columns(_json(file, _text(file), names))
    if not read.values or not len(read):
        raise UserError(f"{file} holds no rows")
    return read


def _form(file: Path) -> str:
    form = file.suffix.lower()
    if form not in SUFFIXES:
        raise UserError(f"{file}: its suffix {file.suffix!r} is none of {', '.join(SUFFIXES)}")
    return form


def _text(file: Path) -> str:
    """Decode a file: UTF-16 where it begins with that encoding's mark (Excel's "Unicode text"), else UTF-8."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read data file {file}: {error.strerror}") from None
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if content.startswith(marks) else "utf-8-sig"  # the latter with or without a mark
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(content, 0, error.start)) + 1
        raise UserError(
            f"{file}: line {line} is not {encoding.removesuffix('-sig').upper()} text "
            f"(byte 0x{content[error.start]:02X}): save the file as UTF-8"
        ) from None


def _check_names(file: Path, header: Iterable[str], names: Sequence[str]) -> None:
    present = list(header)
    for name in names:
        if name not in present:
            raise UserError(f"{file}: {unknown('column', name, present)}")
        if present.count(name) > 1:
            raise UserError(f"{file}: it has {present.count(name)} columns {name!r}")


def _separated(file: Path, text: str, form: str, names: Sequence[str] | None) -> Columns:
    """Read columns of a CSV or TSV file, all where no names are given."""
    table, note = (
        delimited.tab_separated(file, text) if form == ".tsv" else (delimited.comma_separated(file, text), None)
    )
    if not table:
        raise UserError(f"{file} holds no rows")
    header, *rows = table
    names = header if names is None else names
    _check_names(file, header, names)
    positions = {name: header.index(name) for name in names}
    return Columns({name: [fields[position] for fields in rows] for name, position in positions.items()}, note)


def _parquet(file: Path, names: Sequence[str] | None) -> Columns:
    """Read columns of a parquet file, all where no names are given."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as opened:
            names = opened.schema_arrow.names if names is None else names
            _check_names(file, opened.schema_arrow.names, names)
            table = opened.read(columns=list(names))
        stated = {name: class_names.stated(table.schema, name) for name in names}
        values = {name: table.column(name).to_pylist() for name in names}
        return Columns(values, classes={name: classes for name, classes in stated.items() if classes})
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # text that is not UTF-8 is a ValueError
        raise UserError(f"cannot read {file}: {first_line(error)}") from None


def _json(file: Path, text: str, names: Sequence[str] | None) -> dict[str, list[Any]]:
    """Read columns of a JSON file, all where no names are given: a row that lacks one has None there."""
    rows = _objects(file, text)
    if names is None:
        return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    if rows:
        _check_names(file, dict.fromkeys(name for row in rows for name in row), names)
    for row, value in enumerate(rows):
        for name in names:
            if name not in value:
                raise UserError(f"{file}: row {row} (from 0) has no {name!r}")
    return {name: [row[name] for row in rows] for name in names}


def _objects(file: Path, text: str) -> list[dict[str, Any]]:
    rows = _rows(file, text)
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise UserError(f"{file}: row {row} (from 0) is not a JSON object")
    return rows


def _rows(file: Path, text: str) -> list[Any]:
    """Return the values of a JSON file, which should be objects: of its array, of its lines, or of its columns."""
    try:
        whole = json.loads(text)  # ends at the second of several lines
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "the file"
            raise UserError(f"{file}: {where} is not JSON: {first_line(error)}") from None
        return _lines(file, text)
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict) and whole and all(isinstance(column, dict) for column in whole.values()):
        # pandas' `to_json` by default: column -> index -> value. No row's texts are objects, so it is nothing else.
        index = list(next(iter(whole.values())))
        if all(list(column) == index for column in whole.values()):
            return [{name: column[key] for name, column in whole.items()} for key in index]
    return [whole]


def _lines(file: Path, text: str) -> list[Any]:
    rows = []
    # JSON text may hold what `str.splitlines` breaks at, such as U+2028, but no line end.
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError):
                raise UserError(f"{file}: line {number} is not JSON") from None
    return rows
