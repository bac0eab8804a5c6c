"""How labels of the user's own data are spelled, which spellings are one class, and which only look like one. No torch."""

import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from peftcli.errors import UserError

IGNORED = -100  # a word with this label is neither trained nor scored: torch's mark of it, and everyone's since


def is_missing(value: Any) -> bool:
    """Whether a file has no value there: nothing, or the NaN that pandas writes for it."""
    return value is None or (isinstance(value, float) and value != value)


def as_text(value: Any, where: str, row: int) -> str:
    """Return a value as a CSV file would hold it. Raises UserError for what is neither text nor a number."""
    if not isinstance(value, str | int | float | Decimal):
        raise UserError(f"{where}: row {row} (from 0) holds a {type(value).__name__}, not text")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON's \ud800, which no tokenizer takes
        raise UserError(f"{where}: row {row} (from 0) holds half a character: {ascii(text)[:80]}") from None
    return text


def spelled(values: Sequence[Any], where: str, words: bool) -> list[list[str]]:
    """Return the labels of every row as text: one, or with `words` (token tasks) one a word.

    `where` names file and column. Raises UserError for a row without its label, and for a list in place of one label.
    """
    rows, texts = [], {}
    for row, value in enumerate(values):
        if words and not isinstance(value, list):
            raise UserError(
                f"{where} has no list of labels in row {row} (from 0), one a word, as JSON and parquet can hold"
            )
        if not words and isinstance(value, list):
            raise UserError(f"{where} has a list of labels in row {row} (from 0), which kind: token takes")
        labels = value if words else [value]
        for label in labels:
            if is_missing(label) or (isinstance(label, str) and not label.strip()):
                raise UserError(f"{where} misses a label in row {row} (from 0)")
            # Many rows, few labels: each is looked at once. 1 and True are one key of a dictionary without their types.
            if isinstance(label, dict) or (type(label), label) not in texts:
                text = as_text(label, where, row)
                texts[type(label), label] = text
        rows.append([texts[type(label), label] for label in labels])
    return rows


def number(label: str) -> Decimal | None:
    """Return the number that a label spells, exactly, None where it spells none (`nan` and `inf` are words)."""
    try:
        value = Decimal(label)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def merged(spellings: Iterable[str]) -> dict[str, str]:
    """Return spelling -> class, in the order of the classes.

    Where every label is a number, equal ones are one class, by its shortest spelling, and the order is the numbers'.
    Otherwise all are text, and each is a class. The result depends on nothing but which spellings there are.
    """
    texts = sorted(set(spellings))
    numbers = {text: number(text) for text in texts}
    if None in numbers.values():
        return {text: text for text in texts}
    names: dict[Decimal | None, str] = {}
    for text in sorted(texts, key=lambda text: (len(text), text)):
        names.setdefault(numbers[text], text)
    return {text: names[numbers[text]] for text in sorted(texts, key=lambda text: numbers[text] or Decimal(0))}


def finder(classes: Sequence[str]) -> Callable[[str], int | None]:
    """Return a function from a label's spelling to its class, as its position; None where it is of none."""
    exact = {name: position for position, name in reversed(list(enumerate(classes)))}
    numbers = [number(name) for name in classes]
    # Listed as 0 and 1, written as 0.0 and 1.0: one number, one class. Among words a number is a word too.
    values = {} if None in numbers else {value: position for position, value in reversed(list(enumerate(numbers)))}

    def position(spelling: str) -> int | None:
        return exact[spelling] if spelling in exact else values.get(number(spelling)) if values else None

    return position


def is_ignored(spelling: str) -> bool:
    """Whether a word's label says that it has none."""
    return number(spelling) == IGNORED


def are_positions(spellings: Iterable[str], classes: Sequence[str]) -> bool:
    """Whether labels are written as numbers while the classes are words: as positions in their list, from 0."""
    written = [number(spelling) for spelling in spellings]
    whole = all(value is not None and value == value.to_integral_value() for value in written)
    return bool(written) and whole and all(number(name) is None for name in classes)


def without_blanks(label: str) -> Hashable:
    """Return what labels share that differ only in blanks, or in how they write one number."""
    value = number(label)
    return "".join(label.split()) if value is None else value


def without_case(label: str) -> Hashable:
    """Return what labels share that differ only in blanks, case, or how they write one character or number."""
    blank = without_blanks(label)
    return unicodedata.normalize("NFKC", blank).casefold() if isinstance(blank, str) else blank


def twins(classes: Iterable[str], likeness: Callable[[str], Hashable]) -> list[tuple[str, ...]]:
    """Return the classes that are alike by a likeness, in groups of two or more."""
    groups: dict[Hashable, list[str]] = {}
    for name in classes:
        groups.setdefault(likeness(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
