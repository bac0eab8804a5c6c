"""What a paper's figure shows, as numbers: a CSV file beside the recipe, read by what draws it beside ours or judges it."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from peftcli.errors import UserError
from peftcli.files import read_text


def read(path: Path, columns: Sequence[str]) -> list[tuple[float, ...]]:
    """Return a file's rows, a number for each of its `columns`, which must be these in this order. Raises UserError."""
    where = f"published figure {path.name}"
    lines = csv.reader(io.StringIO(read_text(path, "published figure"), newline=""))
    header, rows = next(lines, []), list(lines)
    if header != list(columns):
        raise UserError(f"{where}: its columns are {', '.join(header)}; this kind of figure reads {', '.join(columns)}")
    if not rows:
        raise UserError(f"{where} holds no point")
    return [_numbers(row, columns, f"{where}, line {line}") for line, row in enumerate(rows, 2)]


def _numbers(row: Sequence[str], columns: Sequence[str], where: str) -> tuple[float, ...]:
    if len(row) != len(columns):
        raise UserError(f"{where}: {len(row)} values for {len(columns)} columns")
    for text, column in zip(row, columns, strict=True):
        try:
            finite = math.isfinite(float(text))
        except ValueError:
            finite = False
        if not finite:
            raise UserError(f"{where}: {column} {text!r} is not a number")
    return tuple(map(float, row))
