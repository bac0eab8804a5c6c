"""Records: the one JSON file that an ended run leaves, with a checksum, read back with nothing taken on trust."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal

from pydantic import ValidationError

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment.run import Run

Status = Literal["completed", "diverged", "failed"]
DONE = ("completed", "diverged")
KEYS = (
    "schema",
    "id",
    "status",
    "run",
    "parameters",
    "training",
    "evaluations",
    "cost",
    "environment",
    "data",
    "error",
)
STATUSES: tuple[Status, ...] = ("completed", "diverged", "failed")
NUMBERS = frozenset((int, float, bool, NoneType))  # what JSON makes of a number, or of one not known
SHAPES: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "run": dict,
    "parameters": (dict, NoneType),
    "training": list,
    "evaluations": list,
    "cost": (dict, NoneType),
    "environment": (dict, NoneType),
    "data": (dict, NoneType),
    "error": (str, NoneType),
}
WRITTEN = {"step", "epoch"}  # what every training loss and evaluation says
LARGEST = 64_000_000  # bytes


class Unreadable(Exception):
    """A file in the results folder that is not a sound record; its message says why."""


@dataclass(frozen=True)
class Record:
    """A sound record: where it lies, and its body (see the README's "How to read a record")."""

    path: Path
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.body["id"])

    @property
    def status(self) -> str:
        """completed, diverged or failed."""
        return str(self.body["status"])

    @property
    def done(self) -> bool:
        """Whether the run counts as done: a failed one can be tried again."""
        return self.status in DONE


def path(output: Path, run: Run) -> Path:
    """Where a run's record lies: results/<task>/<strategy>-<id>.json. Names cannot leave the output folder."""
    return output / _safe(run.task) / f"{_safe(run.strategy)}-{run.id}.json"


def write(output: Path, run: Run, body: dict[str, Any]) -> Path:
    """Write a run's record atomically and give its path; `body` holds `KEYS` but schema, id and run.

    Raises UserError where the folder cannot be written.
    """
    whole = {"schema": 1, "id": run.id, "run": run.model_dump(), **body}
    assert set(whole) == set(KEYS), sorted(set(whole) ^ set(KEYS))
    target = path(output, run)
    files.write(target, encode(whole))
    return target


def encode(body: dict[str, Any]) -> bytes:
    """Write a record's body as the one byte sequence that `read` accepts: sorted, indented, behind its own checksum."""
    text = json.dumps(body, indent=1, sort_keys=True, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{\n "sha256": "{digest}",{text[1:]}\n'.encode()


def read(file: Path) -> Record:
    """Read one record. Raises Unreadable for anything that differs from what `encode` writes, by a single bit."""
    try:
        if file.stat().st_size > LARGEST:
            raise Unreadable("too large for a record")
        data = file.read_bytes()
        body = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"not readable as JSON ({type(error).__name__})") from None
    if not isinstance(body, dict) or set(body) != {*KEYS, "sha256"}:
        raise Unreadable("not a record of this program")
    if not _sound(data):
        raise Unreadable("its checksum does not match: the file was damaged or edited")
    del body["sha256"]
    _check_shape(body)
    return Record(file, body)


def _check_shape(body: dict[str, Any]) -> None:
    """Refuse what other programs or versions may have written with a sound checksum; so that readers can rely on kinds."""
    if body["schema"] != 1 or body["status"] not in STATUSES:
        key = "schema" if body["schema"] != 1 else "status"
        raise Unreadable(f"its {key} is not one that this version knows")
    for key, kinds in SHAPES.items():
        if not isinstance(body[key], kinds):
            raise Unreadable(f"its {key} is not of the kind that records have")
    for key in ("training", "evaluations"):
        if not all(isinstance(entry, dict) and entry.keys() >= WRITTEN and _plain(entry) for entry in body[key]):
            raise Unreadable(f"its {key} are not steps with numbers")
    for key in ("parameters", "cost"):
        if not _plain(body[key] or {}):
            raise Unreadable(f"its {key} are not numbers")
    if not all(isinstance(entry.get("split"), str) for entry in body["evaluations"]):
        raise Unreadable("its evaluations do not say of what")


def _plain(entry: dict[str, Any]) -> bool:
    """Whether everything but the name of a split is a number, or not known."""
    kinds = set(map(type, entry.values()))  # far quicker than a look at each value
    return kinds <= NUMBERS or all(type(value) in NUMBERS for key, value in entry.items() if key != "split")


def _sound(data: bytes) -> bool:
    """Whether the checksum at the head of a file is that of the bytes behind it."""
    head = re.match(rb'\{\n "sha256": "([0-9a-f]{64})",', data)
    if head is None or not data.endswith(b"}\n"):
        return False
    return hashlib.sha256(b"{" + data[head.end() : -1]).hexdigest().encode() == head[1]


def read_all(output: Path) -> tuple[list[Record], list[tuple[Path, str]]]:
    """Read every record under a results folder, in path order; damaged and foreign files come with the reason."""
    sound, damaged = [], []
    for file in _candidates(output):
        try:
            sound.append(read(file))
        except Unreadable as error:
            damaged.append((file, str(error)))
    return sound, damaged


def find(output: Path, run: Run) -> Record | None:
    """Give a run's record, or None where there is none.

    Raises UserError for a damaged file in its place, and for one whose id is the same but whose run is not.
    """
    file = path(output, run)
    try:
        record = read(file)
    except Unreadable as error:
        if not file.exists():
            return None
        raise UserError(f"{file}: {error}; move it away to train this run again") from None
    if record.id != run.id or _canonical_fields(record) != run.canonical_fields():
        raise UserError(f"{file} holds another run under the same name; move it away")
    return record


def _canonical_fields(record: Record) -> dict[str, Any] | None:
    try:
        return Run.model_validate(record.body["run"]).canonical_fields()
    except ValidationError:
        return None


def _candidates(output: Path) -> Iterator[Path]:
    if not output.is_dir():
        return
    for folder in sorted(entry for entry in output.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        yield from sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80] or "_"


def states(runs: Iterable[Run], output: Path) -> dict[str, str]:
    """Give each run's state by id: missing, completed, diverged, failed or damaged (its file does not read back)."""
    found = {}
    for run in runs:
        file = path(output, run)
        try:
            found[run.id] = read(file).status if file.exists() else "missing"
        except Unreadable:
            found[run.id] = "damaged"
    return found
