"""A split's rows as plain values: the columns a task uses, checked, and compared with what the task's row says."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from peftcli.data.examples import Array
from peftcli.errors import UserError, unknown
from peftcli.tasks import class_names, labels, own_files
from peftcli.tasks.registry import SPAN_STARTS, Task

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Rows:
    """One split: the columns that the task uses, and the labels."""

    columns: dict[str, list[Any]]  # name -> [examples] of text, lists of words (token tasks), or numbers (SPAN_STARTS)
    labels: NDArray[np.generic]  # [examples] int64 (regression: float64); token tasks: [words] end to end, or IGNORED
    numbers: Array  # [examples]: the data set's `idx`, or the row's number where it has none
    label_names: tuple[str, ...] | None = None  # those that the data set itself states, where it does
    notes: tuple[str, ...] = ()  # what was taken otherwise than it may be meant

    def __len__(self) -> int:
        return len(self.numbers)


def check(task: Task, split: str, table: "pa.Table") -> Rows:
    """Return the rows of a table as the task needs them.

    Raises UserError for a column that is missing or of another type, a missing text, a label that is missing, not a
    finite number or not one of the task's, an empty split, and a sentence with more or fewer labels than words.
    """
    where = f"task {task.name}, split {split}"
    columns = {name: _column(table, name, where) for name in task.inputs}
    answers = _column(table, task.label, where)
    if not len(table):
        raise UserError(f"{where}: no rows")
    for name, column in columns.items():
        _check_values(column, "a whole number" if name in SPAN_STARTS else "text", task.kind == "token", name, where)
    numbers = table.column("idx").to_numpy() if "idx" in table.column_names else None
    if numbers is None or numbers.dtype.kind != "i":
        numbers = np.arange(len(table))
    plain = {name: column.to_pylist() for name, column in columns.items()}
    if task.kind == "token":
        _check_lengths(plain[task.text[0]], answers, task.label, where)
    notes = json.loads((table.schema.metadata or {}).get(own_files.NOTES, "[]"))
    names = class_names.stated(table.schema, task.label)
    return Rows(plain, _labels(task, answers, where), numbers.astype(np.int64), names, tuple(notes))


def fingerprint(splits: Mapping[str, Rows]) -> str:
    """Return a hash of what tasks use of all splits: texts, starts of spans and labels; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for split, rows in sorted(splits.items()):
        # The hub stores scores as float32, and a copy of its files that holds them as float64 gets the same hash.
        labels = rows.labels.astype(np.float32) if rows.labels.dtype.kind == "f" else rows.labels
        for name, values in (*sorted(rows.columns.items()), ("", labels.tolist())):
            content = json.dumps(values, separators=(",", ":"))
            digest.update(f"{split}/{name} {len(values)} {len(content)}\n{content}\n".encode())
    return digest.hexdigest()[:16]


def differences(task: Task, splits: Mapping[str, Rows]) -> tuple[str, ...]:
    """Return where label names, sizes or label counts differ from the task's row, a phrase each."""
    phrases = []
    for split, rows in splits.items():
        if rows.label_names is not None and task.labels and rows.label_names != task.labels:
            phrases.append(f"split {split}: labels {_list(rows.label_names)}, not {_list(task.labels)}")
        if split in task.sizes and len(rows) != task.sizes[split]:
            phrases.append(f"split {split}: {len(rows)} rows, not {task.sizes[split]}")
        if split in task.counts and (counts := label_counts(task, rows)) != task.counts[split]:
            phrases.append(f"split {split}: {_list(counts)} of the labels, not {_list(task.counts[split])}")
    return tuple(phrases)


def remarks(task: Task, splits: Mapping[str, Rows]) -> tuple[str, ...]:
    """Return what is odd about the user's own data and stops nothing, a line each: about files, and about labels."""
    notes = [note for rows in splits.values() for note in rows.notes]
    if "train" in splits and task.labels and task.data == own_files.SOURCE:
        counts = label_counts(task, splits["train"])
        untrained = [name for name, count in zip(task.labels, counts, strict=True) if not count]
        if untrained:
            notes.append(f"task {task.name}: no training row has the labels {_list(map(repr, untrained))}")
        for alike in labels.twins(task.labels, labels.without_case):
            notes.append(f"task {task.name}: labels {_list(map(repr, alike))} look alike, and are a class each")
    return tuple(notes)


def label_counts(task: Task, rows: Rows) -> tuple[int, ...]:
    """Return how many examples (token tasks: words) of a split have each label."""
    classes = rows.labels.astype(np.int64)
    return tuple(np.bincount(classes[classes != labels.IGNORED], minlength=len(task.labels)).tolist())


def _column(table: "pa.Table", name: str, where: str) -> "pa.ChunkedArray":
    from pyarrow import types

    if name not in table.column_names:
        raise UserError(f"{where}: {unknown('column', name, table.column_names)}")
    column = table.column(name)
    # pandas writes a Categorical's texts as numbers into a dictionary of them.
    return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column


def _check_values(column: "pa.ChunkedArray", what: str, words: bool, name: str, where: str) -> None:
    """Refuse a column that is not of text (of lists of words, of whole numbers), or that misses a value."""
    from pyarrow import types

    values = column
    if words and _is_list(column.type):
        _check_present(column, name, where)
        values = column.combine_chunks().flatten()  # [words], all sentences end to end
    elif words:
        raise UserError(f"{where}: column {name!r} holds {column.type}, not lists of words")
    texts = (types.is_string, types.is_large_string, types.is_string_view)  # which of them depends on the writer
    legal = (types.is_integer,) if what == "a whole number" else texts
    if not any(is_legal(values.type) for is_legal in legal):
        raise UserError(f"{where}: column {name!r} holds {values.type}, not {what}")
    _check_present(values, name, where)


def _check_present(column: "pa.ChunkedArray", name: str, where: str) -> None:
    if column.null_count:
        missing = column.is_null().to_numpy(zero_copy_only=False)
        raise UserError(f"{where}: column {name!r} misses its value {int(np.flatnonzero(missing)[0])} (from 0)")


def _is_list(kind: "pa.DataType") -> bool:
    from pyarrow import types

    # Which of them depends on the writer, and all flatten to their values end to end.
    kinds = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    return any(is_one(kind) for is_one in kinds)


def _check_lengths(words: list[list[str]], answers: "pa.ChunkedArray", name: str, where: str) -> None:
    if not _is_list(answers.type):
        raise UserError(f"{where}: column {name!r} holds {answers.type}, not lists of labels")
    _check_present(answers, name, where)
    for row, (sentence, tags) in enumerate(zip(words, answers.to_pylist(), strict=True)):
        if len(sentence) != len(tags):
            raise UserError(f"{where}: row {row} (from 0) has {len(sentence)} words and {len(tags)} labels")


def _labels(task: Task, column: "pa.ChunkedArray", where: str) -> NDArray[np.generic]:
    from pyarrow import types

    flat = column.combine_chunks().flatten() if task.kind == "token" else column
    _check_present(flat, task.label, where)
    # Booleans count as 0 and 1.
    whole = types.is_integer(flat.type) or types.is_boolean(flat.type)
    if not whole and not (task.kind == "regression" and types.is_floating(flat.type)):
        raise UserError(f"{where}: column {task.label!r} holds {flat.type}, not labels as numbers")
    values = flat.to_numpy(zero_copy_only=False)
    return _numbers(values, where) if task.kind == "regression" else _classes(task, values, where)


def _numbers(values: NDArray[Any], where: str) -> NDArray[np.float64]:
    bad = np.flatnonzero(~np.isfinite(values))  # NaN is no null in Arrow, so it was not refused as missing
    if len(bad):
        raise UserError(f"{where}: label {values[bad[0]]} at {bad[0]} (from 0) is not a finite number")
    return values.astype(np.float64)


def _classes(task: Task, values: NDArray[Any], where: str) -> NDArray[np.int64]:
    classes = values.astype(np.int64)
    legal_one = (classes >= 0) & (classes < len(task.labels))  # -1 is the hub's mark of a hidden label
    bad = np.flatnonzero(~(legal_one | (classes == labels.IGNORED) & (task.kind == "token")))
    if len(bad):
        legal = (f"{number} ({name})" for number, name in enumerate(task.labels))
        raise UserError(f"{where}: label {classes[bad[0]]} at {bad[0]} (from 0); known: {_list(legal)}")
    return classes


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
