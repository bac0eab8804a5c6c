"""Records: the one JSON file that an ended run leaves, with a checksum, read back with nothing taken on trust."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.records.body import IMPORTED_KEYS, KEYS, Body, Ending, Status, Unreadable, checked

DONE = ("completed", "diverged")  # a failed run can be tried again
LARGEST = 64_000_000  # bytes


@dataclass(frozen=True)
class Record:
    """A sound record: where it lies, and its body (see the README's "How to read a record")."""

    path: Path
    body: Body

    @property
    def id(self) -> str:
        """The run's id."""
        return self.body["id"]

    @property
    def status(self) -> Status:
        """completed, diverged or failed."""
        return self.body["status"]

    @property
    def run(self) -> Run:
        """The run. Raises pydantic's ValidationError where this version has no such run."""
        return Run.model_validate(self.body["run"])

    @property
    def done(self) -> bool:
        """Whether the run counts as done: a failed one can be tried again."""
        return self.status in DONE


def path(output: Path, run: Run) -> Path:
    """Where a run's record lies: results/<task>/<strategy>-<id>.json. Names cannot leave the output folder."""
    return output / safe(run.task) / f"{safe(run.strategy)}-{run.id}.json"


def write(output: Path, run: Run, ending: Ending) -> Path:
    """Write a run's record atomically and return its path. Raises UserError where the folder cannot be written."""
    whole = {"schema": 1, "id": run.id, "run": run.model_dump(), **ending}
    assert set(whole) == set(KEYS), sorted(set(whole) ^ set(KEYS))
    target = path(output, run)
    files.write(target, encode(whole))
    return target


def encode(body: Mapping[str, Any]) -> bytes:
    """Write a record's body as the one byte sequence that `read` accepts: sorted, indented, behind its own checksum."""
    # Sorted and indented, so that records can be compared line by line; floats as short as reads back exactly.
    text = json.dumps(body, indent=1, sort_keys=True, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    # The checksum stands first, in place of the text's opening brace, so that the rest is the bytes that it sums.
    return f'{{\n "sha256": "{digest}",{text[1:]}\n'.encode()


def read(file: Path) -> Record:
    """Read one record. Raises Unreadable for anything that differs from what `encode` writes, by a single bit."""
    try:
        if file.stat().st_size > LARGEST:  # before it is read: a results folder may hold anything
            raise Unreadable("too large for a record")
        data = file.read_bytes()
        body = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"not readable as JSON ({type(error).__name__})") from None
    if not isinstance(body, dict) or set(body) - {*IMPORTED_KEYS} != {*KEYS, "sha256"}:
        raise Unreadable("not a record of this program")
    # After the keys: a file of another program is called foreign rather than damaged.
    if not _sound(data):
        raise Unreadable("its checksum does not match: the file was damaged or edited")
    del body["sha256"]
    return Record(file, checked(body))


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
    """A run's record, or None where there is none.

    Raises UserError for a damaged file in its place, and for one whose id is the same but whose run is not.
    """
    file = path(output, run)
    try:
        record = read(file)
    except Unreadable as error:
        if not file.exists():
            return None
        raise UserError(f"{file}: {error}; move it away to train this run again") from None
    try:
        same = record.id == run.id and record.run.canonical_fields == run.canonical_fields
    except ValidationError:
        same = False
    if not same:
        raise UserError(f"{file} holds another run under the same name; move it away")
    return record


def _candidates(output: Path) -> Iterator[Path]:
    """The files that may be records: two levels deep, no hidden ones (`.sweeps`, files half written)."""
    if not output.is_dir():
        return
    for folder in sorted(entry for entry in output.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        yield from sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))


def safe(name: str) -> str:
    """A name as a part of a path: no separators, no dots, at most 80 characters. The id keeps runs apart."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80] or "_"


def states(runs: Iterable[Run], output: Path) -> dict[str, str]:
    """Each run's state by id: missing, completed, diverged, failed or damaged (its file does not read back)."""
    states: dict[str, str] = {}
    for run in runs:
        file = path(output, run)
        try:
            states[run.id] = read(file).status if file.exists() else "missing"
        except Unreadable:
            states[run.id] = "damaged"
    return states
