"""The files of a custom task: found by the names of the splits, read, their labels numbered, and fingerprinted."""

import contextlib
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli import files
from peftcli.errors import UserError, unknown
from peftcli.tasks import labels, tabular
from peftcli.tasks.registry import SPAN_STARTS, Task

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "own data"  # a custom task's `data`, where the others name a hub repository; the held-out rows depend on it
HELD_OUT = 0.1  # fraction of a single file that becomes the validation set
LONGEST_TEXT = 10**9  # words, of which a span may begin with any
NOTES = b"notes"  # the key of a table's metadata that holds what was taken otherwise than it may be meant, as JSON
NAMES = {  # the name of a file, up to its first hyphen -> split
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


def of_splits(location: Path, splits: Sequence[str]) -> dict[str, list[Path]]:
    """Return the files of splits, each in order of name; a single file is the training set, part of which is held out.

    Raises UserError where a split has no file, or two that are not its shards.
    """
    if location.is_file():
        return {"train": [location]}
    if not location.is_dir():
        raise UserError(f"data {str(location)!r} does not exist: a file, or a folder with train and validation files")
    named = [(file, NAMES.get(_first_word(file))) for file in sorted(location.iterdir())]
    grouped = {
        split: [file for file, its_split in named if its_split == split and file.suffix.lower() in tabular.SUFFIXES]
        for split in splits
    }
    for split, paths in grouped.items():
        if not paths:
            raise UserError(
                f"data {str(location)!r} has no {split} file: {split}{{{','.join(tabular.SUFFIXES)}}}; "
                f"it holds {', '.join(file.name for file, _ in named[:12]) or 'nothing'}"
            )
        # Several files are one split only as shards, train-0.csv and train-1.csv; dev.csv beside val.csv is ambiguous.
        kinds = {(file.suffix.lower(), _first_word(file)) for file in paths}
        if len(kinds) > 1 or (len(paths) > 1 and any("-" not in file.stem for file in paths)):
            raise UserError(f"data {str(location)!r} has {paths[0].name} and {paths[1].name}: keep one of them")
    return grouped


def _first_word(file: Path) -> str:
    return file.stem.partition("-")[0].lower()


def tables(task: Task, splits: Sequence[str], location: Path, columns: Sequence[str]) -> dict[str, "pa.Table"]:
    """Read columns of a custom task's splits, and no other file or column; labels are numbers. Raises UserError.

    A single file is divided at random, in the same way each time: `HELD_OUT` of its rows are the validation set.
    """
    grouped = of_splits(location, splits)
    if location.is_file():
        from peftcli.seeds import generator  # imports numpy, which planning does without

        whole = table(task, grouped["train"], columns)
        order = generator(0, task.data).permutation(len(whole)).tolist()
        count = max(1, round(HELD_OUT * len(order)))
        return {"train": whole.take(sorted(order[count:])), "validation": whole.take(sorted(order[:count]))}
    return {split: table(task, paths, columns) for split, paths in grouped.items()}


def table(task: Task, paths: Sequence[Path], columns: Sequence[str]) -> "pa.Table":
    """Read columns of a task from files, one after another: texts (a missing one is empty), labels as numbers.

    A class is its position in `task.labels`, a score stays itself. Raises UserError naming file and row.
    """
    import pyarrow as pa

    values: dict[str, list[Any]] = {name: [] for name in columns}
    notes: list[str] = []
    for file in paths:
        read = tabular.columns(file, columns)
        notes += [read.note] if read.note else []
        for name in read.values:
            where = f"{file}: column {name!r}"
            column = named(read, name, task.kind, where)
            if name == task.label:
                numbered, remarks = _numbered(task, column, where)
                values[name] += numbered
                notes += remarks
                continue
            values[name] += _inputs(task, name, column, where)
            missing = [row for row, value in enumerate(column) if labels.is_missing(value)]
            if missing:
                notes.append(f"{where} has no text in {len(missing)} rows, first in row {missing[0]} (from 0): empty")
    arrays = {name: pa.array(column, _type(task, name)) for name, column in values.items()}
    return pa.table(arrays).replace_schema_metadata({NOTES: json.dumps(notes)})


def fingerprint(location: Path) -> str:
    """Return a hash of the files of every split but the test, which no number depends on; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for split, paths in of_splits(location, ("train", "validation")).items():
        for file in paths:
            digest.update(f"{split} {file.suffix.lower()} {files.sha256(file)}\n".encode())
    return digest.hexdigest()[:16]


def _type(task: Task, name: str) -> "pa.DataType":
    import pyarrow as pa

    if name == task.label and task.kind == "regression":
        return pa.float64()
    plain = pa.int64() if name == task.label or name in SPAN_STARTS else pa.string()
    return pa.list_(plain) if task.kind == "token" else plain


def _inputs(task: Task, name: str, column: list[Any], where: str) -> list[Any]:
    """Return a column's texts, words (token tasks), or the words that spans begin with, [rows]."""
    if task.kind != "token" and name not in SPAN_STARTS and all(type(value) is str for value in column):
        # Nearly every file is text alone, and a row at a time takes seven times as long.
        with contextlib.suppress(UnicodeEncodeError):
            "".join(column).encode()
            return column
    return [_input(task, name, value, where, row) for row, value in enumerate(column)]


def _input(task: Task, name: str, value: Any, where: str, row: int) -> str | int | list[str]:
    """Return a row's text, words (token tasks), or the word that a span begins with."""
    if name in SPAN_STARTS:
        start = labels.number(labels.as_text(value, where, row))
        if start is None or start != start.to_integral_value() or abs(start) > LONGEST_TEXT:
            raise UserError(f"{where}: row {row} (from 0) holds {value!r}, not a whole number")
        return int(start)
    if task.kind != "token":
        # A CSV has no other way to write that there is none, and the same table gives the same in every format.
        return "" if labels.is_missing(value) else labels.as_text(value, where, row)
    if not isinstance(value, list):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise UserError(f"{where}: row {row} (from 0) holds {kind}, not a list of words")
    if any(labels.is_missing(word) for word in value):
        raise UserError(f"{where}: row {row} (from 0) holds nothing among its words")
    return [labels.as_text(word, where, row) for word in value]


def named(read: tabular.Columns, name: str, kind: str, where: str) -> list[Any]:
    """Return a column's values, with names in the place of numbers where the file names its classes itself.

    Numbers stay what they are in a regression, and where spans begin. Raises UserError for a number without a name.
    """
    column, classes = read.values[name], read.classes.get(name)
    if classes is None or kind == "regression" or name in SPAN_STARTS:
        return column

    def name_of(value: Any, row: int) -> Any:
        """The class's name in the place of its number, in a list of them too; None for a hidden label."""
        if isinstance(value, list):
            return [name_of(one, row) for one in value]
        if not isinstance(value, int) or value == labels.IGNORED:
            return value
        if value == -1:  # the hub's mark of a hidden label
            return None
        if not 0 <= value < len(classes):
            raise UserError(f"{where}: row {row} (from 0) holds class {value}, and the file names {len(classes)}")
        return classes[value]

    return [name_of(value, row) for row, value in enumerate(column)]


def _numbered(task: Task, values: Sequence[Any], where: str) -> tuple[list[Any], list[str]]:
    """Return a column of labels as numbers, [rows], or in token tasks [rows][words]; and what to know of them, a line each."""
    words = task.kind == "token"
    rows = labels.spelled(values, where, words)
    if task.kind == "regression":
        return [_score(value, where, row) for row, value in enumerate(values)], []
    first_rows: dict[str, int] = {}
    for row, spellings in enumerate(rows):
        for spelling in spellings:
            first_rows.setdefault(spelling, row)
    notes = []
    ignored = {spelling for spelling in first_rows if words and labels.is_ignored(spelling)} - set(task.labels)
    written = {spelling: row for spelling, row in first_rows.items() if spelling not in ignored}
    if labels.are_positions(written, task.labels):
        numbers = _positions(task.labels, written, where)
        legend = ", ".join(f"{number} is {name!r}" for number, name in enumerate(task.labels[:3]))
        notes.append(
            f"{where} holds numbers, taken as positions in the labels: {legend}{' …' * (len(task.labels) > 3)}"
        )
    else:
        numbers = _classes(task.labels, written, where)
    numbers |= dict.fromkeys(ignored, labels.IGNORED)
    classes = [[numbers[spelling] for spelling in spellings] for spellings in rows]
    if ignored:
        count = sum(number == labels.IGNORED for row in classes for number in row)
        notes.append(f"{where} has {labels.IGNORED} for {count} words: without a label, neither trained nor scored")
    return (classes if words else [only for (only,) in classes]), notes


def _positions(names: Sequence[str], first_rows: dict[str, int], where: str) -> dict[str, int]:
    """Return spelling -> the number it spells, where that is a position among the classes."""
    numbers = {spelling: int(labels.number(spelling) or 0) for spelling in first_rows}
    for spelling, number in numbers.items():
        if not 0 <= number < len(names):
            raise UserError(
                f"{where}: row {first_rows[spelling]} (from 0) holds label {spelling}, and there are {len(names)} labels: "
                f"0 ({names[0]}) to {len(names) - 1} ({names[-1]})"
            )
    return numbers


def _classes(names: Sequence[str], first_rows: dict[str, int], where: str) -> dict[str, int]:
    """Return spelling -> its class, as its position."""
    position_of, numbers = labels.finder(names), {}
    for spelling, row in first_rows.items():
        position = position_of(spelling)
        if position is None:
            raise UserError(f"{where}: row {row} (from 0): {unknown('label', spelling, names)}")
        numbers[spelling] = position
    return numbers


def _score(value: Any, where: str, row: int) -> float:
    # A boolean counts as 0 or 1; words that Python reads as numbers, such as nan, are none.
    spelled = value if isinstance(value, int | float) else labels.number(str(value))
    try:
        score = math.nan if spelled is None else float(spelled)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise UserError(
            f"{where}: label {value!r} of row {row} (from 0) is not a finite number, which kind: regression needs"
        )
    return score
