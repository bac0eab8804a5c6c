"""What the records beside a delta say of its run, and of the same run with other seeds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from peftcli import records
from peftcli.deltas.file import Delta
from peftcli.experiment.run import Run
from peftcli.records import Record, origin
from peftcli.report.table import selection

Scores = Mapping[str, Mapping[str, Any]]  # split -> metric -> fraction, of the evaluation that counts


@dataclass(frozen=True)
class Recorded:
    """A run's record, None without one that can be read, and by seed what the same run came to, its own seed included.

    `why_not` says why there is no record.
    """

    record: Record | None
    by_seed: Mapping[int, Scores] = field(default_factory=dict)
    why_not: str = ""


NOTHING = Recorded(None, why_not="no record of the run was at hand")


def beside(file: Path, delta: Delta) -> Recorded:
    """Read the records in the folder of a delta's file: its own run's, and those alike in all but the seed.

    A run made from another model, tokenizer or data under the same name is not alike.
    """
    path = file.parent / records.path(Path(), delta.run).name
    if not path.is_file():
        return NOTHING
    try:
        record = records.read(path)
    except records.Unreadable as error:
        return Recorded(None, why_not=f"the record of the run could not be read: {error}")
    if record.status != "completed" or not _is(record, delta.run):
        return Recorded(None, why_not="the file in the place of its record is of another run")
    alike = {run.seed: scores(each) for each, run in _same_but_seed(path, record, delta.run)}
    return Recorded(record, dict(sorted(alike.items())))


def scores(record: Record) -> Scores:
    """Return what the evaluation of a run that counts measured, by split."""
    return selection.counted_of(record.run, record.body["evaluations"])


def _same_but_seed(path: Path, own: Record, run: Run) -> Iterator[tuple[Record, Run]]:
    """Yield the completed runs in a folder that differ from a run in the seed alone."""
    stem = path.name.removesuffix(f"{run.id}.json")
    for file in sorted(path.parent.glob("*.json")):
        if not file.name.startswith(stem) or "." in file.stem:  # hidden ones, half written, and imported ones
            continue
        try:
            record = records.read(file)
            other = record.run
        except (records.Unreadable, ValidationError):  # no number of this run's: reports name such files
            continue
        same = _is(record, run.model_copy(update={"seed": other.seed}))
        if same and record.status == "completed" and not origin.differing(origin.of(own.body), origin.of(record.body)):
            yield record, other


def _is(record: Record, run: Run) -> bool:
    """Whether a record is of this run."""
    try:
        return record.id == run.id and record.run.canonical_fields == run.canonical_fields
    except ValidationError:  # of a version with other settings
        return False
