"""The files of a custom task: found by the names of the splits, read, their labels numbered, and fingerprinted."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli import files
from peftcli.errors import UserError, unknown
from peftcli.tasks import tabular
from peftcli.tasks.registry import Task

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "own data"  # a custom task's `data`, where the others name a hub repository; the held-out rows depend on it
HELD_OUT = 0.1  # fraction of a single file that becomes the validation set
NAMES = {  # the name of a file, up to its first hyphen -> split
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


def columns(location: Path) -> dict[str, list[dict[str, list[Any]]]]:
    """Return the columns of every split's files: split -> [files] -> column name -> [rows]. Raises UserError.

    The values are plain ones; planning reads them, so pyarrow is imported for parquet files alone.
    """
    return {split: [tabular.columns(file) for file in paths] for split, paths in _files(location).items()}


def read(location: Path) -> dict[str, "pa.Table"]:
    """Read all splits as they are in their files. Raises UserError."""
    return {split: _joined([tabular.read(file) for file in paths]) for split, paths in _files(location).items()}


def tables(task: Task, location: Path) -> dict[str, "pa.Table"]:
    """Read a custom task's splits, labels as numbers; a test split without labels has none. Raises UserError.

    A single file is divided at random, in the same way each time: `HELD_OUT` of its rows are the validation set.
    """
    splits = {split: _numbered(task, split, table) for split, table in read(location).items()}
    if "validation" in splits:
        return splits
    from peftcli.seeds import generator  # imports numpy, which planning does without

    whole = splits["train"]
    order = generator(0, task.data).permutation(len(whole)).tolist()
    count = max(1, round(HELD_OUT * len(order)))
    return {"train": whole.take(sorted(order[count:])), "validation": whole.take(sorted(order[:count]))}


def fingerprint(location: Path) -> str:
    """Return a hash of the files of every split but the test, which no number depends on; 16 hexadecimal digits."""
    digest, splits = hashlib.sha256(), _files(location)
    for split in ("train", "validation"):
        for file in splits.get(split, ()):
            digest.update(f"{split} {file.suffix} {files.sha256(file)}\n".encode())
    return digest.hexdigest()[:16]


def number(value: Any) -> float | None:
    """Return a label as a number, None where it is not one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _files(location: Path) -> dict[str, list[Path]]:
    """Return the files of each split in order of name; a single file is the training set, part of which is held out."""
    if location.is_file():
        return {"train": [location]}
    if not location.is_dir():
        raise UserError(f"data {str(location)!r} does not exist: a file, or a folder with train and validation files")
    splits: dict[str, list[Path]] = {}
    for file in sorted(location.iterdir()):
        split = NAMES.get(file.stem.partition("-")[0])
        if file.suffix in tabular.SUFFIXES and split:
            splits.setdefault(split, []).append(file)
    for split in ("train", "validation"):
        if split not in splits:
            raise UserError(f"data {str(location)!r} has no {split} file: {split}{{{','.join(tabular.SUFFIXES)}}}")
    for paths in splits.values():
        # Several files are one split only as shards, train-0.csv and train-1.csv; dev.csv beside val.csv is ambiguous.
        kinds = {(file.suffix, file.stem.partition("-")[0]) for file in paths}
        if len(kinds) > 1 or (len(paths) > 1 and any("-" not in file.stem for file in paths)):
            raise UserError(f"data {str(location)!r} has {paths[0].name} and {paths[1].name}: keep one of them")
    return splits


def _joined(shards: Sequence["pa.Table"]) -> "pa.Table":
    import pyarrow as pa

    try:
        return shards[0] if len(shards) == 1 else pa.concat_tables(shards)
    except pa.ArrowException:
        raise UserError("the files of one split differ in their columns") from None


def _numbered(task: Task, split: str, table: "pa.Table") -> "pa.Table":
    """Return a table's texts and its labels as numbers: a class is its index in `task.labels`, a score stays itself."""
    import pyarrow as pa

    texts = {name: table.column(name) for name in task.text if name in table.column_names}
    if task.label not in table.column_names:
        return pa.table(
            texts
        )  # an unlabelled test split; elsewhere the missing column is refused when rows are checked
    where = f"task {task.name}, split {split}"
    index = {label: position for position, label in enumerate(task.labels)}

    def class_of(value: Any, row: int) -> int:
        if str(value) not in index:
            raise UserError(f"{where}: row {row} (from 0): {unknown('label', str(value), index)}")
        return index[str(value)]

    def numbered(value: Any, row: int) -> Any:
        if task.kind == "regression":
            score = number(value)
            if score is None:
                raise UserError(
                    f"{where}: label {value!r} of row {row} (from 0) is not a number, which kind: regression needs"
                )
            return score
        # a token task's row has a label for each word
        return [class_of(label, row) for label in value] if isinstance(value, list) else class_of(value, row)

    labels = [numbered(value, row) for row, value in enumerate(table.column(task.label).to_pylist())]
    return pa.table({**texts, task.label: pa.array(labels)})
