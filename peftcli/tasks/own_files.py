"""The files of a task of the user's own: found by the names of the splits, read, labels as numbers, fingerprinted."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli import files
from peftcli.errors import UserError, unknown
from peftcli.tasks import tabular
from peftcli.tasks.registry import Task

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "own data"  # what stands in the place of a hub data set
HELD_OUT = 0.1  # of a single file, for validation
NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


def columns(place: Path) -> dict[str, list[dict[str, list[Any]]]]:
    """Read every split's files as plain columns by name, without what a table needs. Raises UserError."""
    return {split: [tabular.columns(file) for file in own] for split, own in _found(place).items()}


def read(place: Path) -> dict[str, "pa.Table"]:
    """Read every split that is there, as it lies there. Raises UserError."""
    return {split: _concatenated([tabular.read(file) for file in own]) for split, own in _found(place).items()}


def tables(task: Task, place: Path) -> dict[str, "pa.Table"]:
    """Read a described task's splits, labels as numbers; a test split without labels has none. Raises UserError."""
    made = {split: _numbered(task, split, table) for split, table in read(place).items()}
    if "validation" in made:
        return made
    from peftcli.seeds import generator  # numpy comes with it, which planning does without

    order = generator(0, task.data).permutation(len(made["train"]))
    count = max(1, round(HELD_OUT * len(order)))
    cut = {"train": sorted(order[count:].tolist()), "validation": sorted(order[:count].tolist())}
    return {split: made["train"].take(rows) for split, rows in cut.items()}


def fingerprint(place: Path) -> str:
    """Hash the files of every split but the test, which no number depends on; 16 hexadecimal digits."""
    digest, found = hashlib.sha256(), _found(place)
    for split in ("train", "validation"):
        for file in found.get(split, ()):
            digest.update(f"{split} {file.suffix} {files.sha256(file)}\n".encode())
    return digest.hexdigest()[:16]


def number(value: Any) -> float | None:
    """Read a label as a number; None where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def name(value: Any) -> str:
    """Give a label's name as it is written."""
    return str(value)


def _found(place: Path) -> dict[str, list[Path]]:
    """Find the files of each split; a single file is the training set, of which some is held out."""
    if place.is_file():
        return {"train": [place]}
    if not place.is_dir():
        raise UserError(f"data {str(place)!r} does not exist: a file, or a folder with train and validation files")
    found: dict[str, list[Path]] = {}
    for file in sorted(place.iterdir()):
        split = NAMES.get(file.stem.partition("-")[0])
        if file.suffix in tabular.SUFFIXES and split:
            found.setdefault(split, []).append(file)
    for split in ("train", "validation"):
        if split not in found:
            raise UserError(f"data {str(place)!r} has no {split} file: {split}{{{','.join(tabular.SUFFIXES)}}}")
    for own in found.values():
        kinds = {(file.suffix, file.stem.partition("-")[0]) for file in own}
        if len(kinds) > 1 or (len(own) > 1 and any("-" not in file.stem for file in own)):
            raise UserError(f"data {str(place)!r} has {own[0].name} and {own[1].name}: keep one of them")
    return found


def _concatenated(read: Sequence["pa.Table"]) -> "pa.Table":
    import pyarrow as pa

    try:
        return read[0] if len(read) == 1 else pa.concat_tables(read)
    except pa.ArrowException:
        raise UserError("the files of one split differ in their columns") from None


def _numbered(task: Task, split: str, table: "pa.Table") -> "pa.Table":
    """Give a table's texts as they are and its labels as numbers: classes by their place, regression's as written."""
    import pyarrow as pa

    columns = {name: table.column(name) for name in task.text if name in table.column_names}
    if task.label not in table.column_names:
        return pa.table(columns)  # an unlabelled test split; elsewhere the missing column is refused when checked
    given = table.column(task.label).to_pylist()
    where = f"task {task.name}, split {split}"
    numbers: Any = [_value(value, where, at) for at, value in enumerate(given)] if task.kind == "regression" else None
    if numbers is None:
        places = {name: at for at, name in enumerate(task.labels)}
        numbers = [
            [_class(v, places, where, at) for v in value]
            if isinstance(value, list)
            else _class(value, places, where, at)
            for at, value in enumerate(given)
        ]
    return pa.table({**columns, task.label: pa.array(numbers)})


def _class(value: Any, places: Mapping[str, int], where: str, at: int) -> int:
    if name(value) not in places:
        raise UserError(f"{where}: row {at} (from 0): {unknown('label', name(value), places)}")
    return places[name(value)]


def _value(value: Any, where: str, at: int) -> float:
    found = number(value)
    if found is None:
        raise UserError(f"{where}: label {value!r} of row {at} (from 0) is not a number, which kind: regression needs")
    return found
