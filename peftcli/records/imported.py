"""Imported records: of runs that somebody else made. They say so, and never stand for a run that was trained here. No torch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from peftcli.errors import UserError
from peftcli.experiment.run import Run, canonical
from peftcli.records.body import Ending, Source, Unreadable
from peftcli.records.record import Record, encode, read, safe

# Part of the file's name, so that imported records can be told apart without reading every record of a folder.
SUFFIX = ".imported.json"

Cell = tuple[str, float]  # what runs of one cell and one learning rate have in common: all but the seed


def identity(run: Run, repeat: int) -> str:
    """Return an imported run's id: never that of the same run trained here, so that neither is taken for the other.

    The file is no part of it: the same run from two files is the same run, and different content of it is noticed.
    """
    return hashlib.sha256(canonical({**run.canonical_fields, "imported": {"repeat": repeat}})).hexdigest()[:16]


def cell(run: Run) -> Cell:
    """Return what a run has in common with those it stands beside in a table's cell, at its learning rate."""
    return run.cohort_key(), run.learning_rate


def cell_of(record: Record) -> Cell | None:
    """Return a record's cell; None where it is of a version with other settings, and so in no cell of this one."""
    try:
        return cell(record.run)
    except ValidationError:
        return None


def path(output: Path, run: Run, repeat: int) -> Path:
    """Where an imported run's record lies: results/<task>/<strategy>-<id>.imported.json."""
    return output / safe(run.task) / f"{safe(run.strategy)}-{identity(run, repeat)}{SUFFIX}"


def encoded(run: Run, ending: Ending, source: Source) -> bytes:
    """Return an imported run's record as the bytes of its file."""
    head = {"schema": 1, "id": identity(run, source["repeat"]), "run": run.model_dump(), "origin": source}
    return encode({**head, **ending})


def read_cells(output: Path, runs: Sequence[Run]) -> dict[Cell, list[Record]]:
    """Read the imported records that stand in the cells of these runs, in the order of their seeds, whatever those are.

    Raises UserError for a file that does not read back: it may be of any cell.
    """
    folders = dict.fromkeys(safe(run.task) for run in runs)
    files = [file for folder in folders for file in sorted((output / folder).glob(f"*{SUFFIX}"))]
    if not files:  # as most often: thousands of runs are then not asked for their cells
        return {}
    wanted = {cell(run) for run in runs}
    cells: dict[Cell, list[Record]] = {}
    for record in map(_read, files):
        if (key := cell(record.run)) in wanted:
            cells.setdefault(key, []).append(record)
    return {key: sorted(records, key=_order) for key, records in cells.items()}


def _order(record: Record) -> tuple[int, int]:
    return record.run.seed, record.body["origin"]["repeat"]


def _read(file: Path) -> Record:
    """Read an imported record. Raises UserError where it is none, or holds another run than its name says."""
    try:
        record = read(file)
        source = record.body.get("origin")
        if source is None or identity(record.run, source["repeat"]) != record.id or record.id not in file.name:
            raise Unreadable("not the imported record that its name says")
    except Unreadable as error:
        raise UserError(f"{file}: {error}; move it away and import its run again") from None
    except ValidationError:  # sound, but of a version that has other settings
        raise UserError(f"{file}: its run is of another version; move it away and import it again") from None
    return record
