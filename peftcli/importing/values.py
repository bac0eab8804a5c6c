"""The values of one column as what they stand for: text of a CSV and numbers of a parquet file come to the same. No torch."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from peftcli import documents
from peftcli.errors import LONGEST, UserError


def numbers(values: Iterable[Any], where: str) -> list[float | None]:
    """Read numbers; an empty field, null and NaN are None. Raises UserError naming the first row that holds no number."""
    return _each(values, where, "a number", _number)


def losses(values: Iterable[Any], where: str) -> list[float | None]:
    """Read losses, as `numbers` does; an infinite one is None too, as it is in the record of a run that diverged."""
    return _each(values, where, "a number", lambda value: None if math.isinf(read := _float(value)) else read)


def whole(values: Iterable[Any], where: str) -> list[int | None]:
    """Read whole numbers, as `numbers` does. Raises UserError for a fraction too."""
    return _each(values, where, "a whole number", _whole)


def fractions(values: Iterable[Any], where: str) -> list[float | None]:
    """Read scores, as `numbers` does. Raises UserError for one that is neither a fraction nor a correlation: percent."""
    read = numbers(values, where)
    for row, value in enumerate(read):
        if value is not None and not -1 <= value <= 1:
            raise UserError(
                f"{where}, row {row} (from 0): {value:g} is no fraction: scores are from 0 to 1, correlations from -1; "
                "percent are divided by 100"
            )
    return read


def words(values: Iterable[Any]) -> list[str | None]:
    """Read names; a number is the text that a CSV has for it, 7.0 being 7. An empty field, null and NaN are None."""
    # pandas makes a column of whole numbers with one missing a column of floats.
    whole = ((value, isinstance(value, float) and value.is_integer()) for value in values)
    return [None if _blank(value) else str(int(value) if integral else value).strip() for value, integral in whole]


def truths(values: Iterable[Any], where: str) -> list[bool | None]:
    """Read truth values, `true` and `false` as text; an empty field, null and NaN are None. Raises UserError."""
    return _each(values, where, "true or false", _truth)


def one_of(values: Iterable[Any], legal: Sequence[str], where: str) -> list[str | None]:
    """Read words of a few; an empty field, null and NaN are None. Raises UserError naming the legal ones."""
    return _each(values, where, f"one of {', '.join(legal)}", lambda value: legal[legal.index(str(value).strip())])


def times(values: Iterable[Any], where: str) -> list[datetime | None]:
    """Read times, text as ISO 8601, in UTC where they do not say; an empty field, null and NaN are None. Raises UserError."""
    return _each(values, where, "a time such as 2026-11-27T03:16:15Z", _time)


def lists(values: Iterable[Any], where: str) -> list[str | None]:
    """Read lists that are written as JSON, and leave them so. Raises UserError."""
    return _each(values, where, "a list as JSON", _list)


def settings(values: Iterable[Any], where: str) -> list[Any]:
    """Read what settings are, text as a recipe writes it. An empty field, null and NaN are None: not said."""
    return _each(
        values, where, "a setting's value", lambda value: documents.parse(value) if isinstance(value, str) else value
    )


def _each(values: Iterable[Any], where: str, what: str, read: Callable[[Any], Any]) -> list[Any]:
    # Columns repeat few values: each is read once.
    seen: dict[tuple[type, Any], Any] = {}
    column = []
    for row, value in enumerate(values):
        key = (type(value), value if value.__hash__ else repr(value))
        if key not in seen:
            try:
                seen[key] = None if _blank(value) else read(value)
            except (ValueError, TypeError, OverflowError, KeyError, AttributeError, UserError):
                raise UserError(f"{where}, row {row} (from 0): {str(value)[:LONGEST]!r} is not {what}") from None
        column.append(seen[key])
    return column


def _blank(value: Any) -> bool:
    """Whether nothing is said: pandas writes what is missing as an empty field, as null or as NaN."""
    if isinstance(value, str):
        return value.strip() == "" or value.strip().lower() == "nan"
    return value is None or (isinstance(value, float) and math.isnan(value))


def _float(value: Any) -> float:
    # To Python a truth value is a number; in a column of numbers it is a mistake.
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _number(value: Any) -> float:
    if not math.isfinite(read := _float(value)):
        raise ValueError
    return read


def _truth(value: Any) -> bool:
    # pandas makes a column of truth values with one missing a column of objects, and a CSV of it has True and False.
    return {"true": True, "false": False}[str(value).strip().lower()]


def _time(value: Any) -> datetime:
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value.strip())
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _list(value: Any) -> str:
    if not isinstance(json.loads(value), list):
        raise ValueError
    return str(value)


def _whole(value: Any) -> int:
    if isinstance(value, str):
        # Not by way of a float, which would round numbers of more than 53 bits.
        text = value.strip()
        value = int(text) if text.lstrip("+-").isdigit() else float(text)
    if isinstance(value, bool) or value != int(value):
        raise ValueError
    return int(value)


# What reads the values of a column of a record's cost, environment or data, by what they are there.
BY_KIND: dict[type, Callable[[Iterable[Any], str], list[Any]]] = {
    int: whole,
    float: numbers,
    bool: truths,
    list: lists,
    datetime: times,
    str: lambda values, _: words(values),
}
