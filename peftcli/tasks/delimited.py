"""The fields of a CSV or TSV file, and whether a TSV's quotes are marks around fields or part of the text."""

import csv
import io
from pathlib import Path
from typing import Any

from peftcli.errors import UserError

LONGEST_FIELD = 10_000_000  # characters; Python's csv refuses fields over 131,072, which a long document may exceed
QUOTED: dict[str, Any] = {"strict": True}  # otherwise a quote that never closes takes in the rest of the file
PLAIN: dict[str, Any] = {"quoting": csv.QUOTE_NONE}

Fields = list[list[str]]  # [lines][columns], the first line's are the columns' names


def comma_separated(file: Path, text: str) -> Fields:
    """Return the fields of a CSV file's text. Raises UserError."""
    return _fields(file, text, QUOTED)


def tab_separated(file: Path, text: str) -> tuple[Fields, str | None]:
    """Return the fields of a TSV file's text, and a note of what its quotes were taken as where both would do.

    Most TSV files (the GLUE benchmark's) quote nothing, so that a quote is text; the csv modules of pandas and Python
    quote as in a CSV. Raises UserError, also where the two ways would give other rows, and nothing tells which is meant.
    """
    tabs: dict[str, Any] = {"delimiter": "\t"}
    if '"' not in text:
        return _fields(file, text, PLAIN | tabs), None
    try:
        quoted = _fields(file, text, QUOTED | tabs)
    except UserError:
        return _fields(file, text, PLAIN | tabs), None
    try:
        plain = _fields(file, text, PLAIN | tabs)
    except UserError:
        plain = None
    if plain == quoted:
        return quoted, None
    # Programs that quote all text quote the columns' names too.
    header = plain is not None and all(len(name) > 1 and name[0] == name[-1] == '"' for name in plain[0])
    if plain is None or header or (len(plain) == len(quoted) and _is_quoted(plain, quoted)):
        return quoted, f"{file}: its quotes were taken as marks around fields, as in a CSV"
    if len(plain) != len(quoted):
        raise UserError(
            f"{file}: its quotes may be text, which makes {len(plain) - 1} rows, or hold lines together, which makes "
            f"{len(quoted) - 1}: write it as a CSV"
        )
    return plain, f"{file}: its quotes were taken as part of the text, for not all are those of a CSV's fields"


def _fields(file: Path, text: str, dialect: dict[str, Any]) -> Fields:
    csv.field_size_limit(LONGEST_FIELD)
    # Lines end as the csv module says, with \n, \r or both. `str.splitlines` breaks at U+2028, form feeds and more, which
    # are text. Line ends are kept, for a quoted field may run over several lines.
    lines = csv.reader(io.StringIO(text, newline=""), **dialect)
    table: Fields = []
    try:
        for fields in lines:
            if not fields and table and len(table[0]) == 1:
                raise UserError(
                    f"{file}: line {lines.line_num} is empty: in a file of one column that may be a row without text, "
                    'which is written "", or no row, which is left out'
                )
            if table and fields and len(fields) != len(table[0]):
                raise UserError(
                    f"{file}: line {lines.line_num} has {len(fields)} fields, and the first line {len(table[0])}"
                )
            table += [fields] if fields else []
    except csv.Error as error:
        raise UserError(f"{file}: line {lines.line_num}: {error}") from None
    return table


def _is_quoted(plain: Fields, quoted: Fields) -> bool:
    """Whether all fields with a quote are as a csv module writes them: in quotes, those within them doubled."""
    pairs = [
        (raw, read)
        for raws, reads in zip(plain, quoted, strict=True)
        for raw, read in zip(raws, reads, strict=True)
        if '"' in raw
    ]
    # A field that is quoted without need may as well be a text that is a quotation: one that doubles quotes tells.
    return all(raw != read for raw, read in pairs) and any(raw == '""' or '""' in raw[1:-1] for raw, _ in pairs)
