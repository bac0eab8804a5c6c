"""Joining the results of several machines. What differs under one id is refused before anything is written. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment.settings import WITHOUT_EFFECT
from peftcli.records import imported, origin
from peftcli.records.body import Body
from peftcli.records.record import Record, read_all

SHOWN = 5  # conflicts named in the error


@dataclass(frozen=True)
class Merged:
    """What a merge did: records written and those that were there already, and files that are no sound record, with why."""

    written: int
    present: int
    damaged: tuple[tuple[Path, str], ...]


def merge(sources: Sequence[Path], output: Path) -> Merged:
    """Copy every sound record of the sources, with the files beside it, to a results folder.

    Raises UserError for a source that is no folder, and where two folders (`output` counts too) hold different content
    for one id (times do not count), or runs of other models, tokenizers or data under the same names. Then nothing is
    written.
    """
    for source in sources:
        if not source.is_dir():
            raise UserError(f"{source} is not a folder of results")
    # The output comes first: its records stay, and what a source holds of the same runs must agree with them.
    read = [read_all(folder) for folder in (output, *sources)]
    present = {record.id: record for record in read[0][0]}
    chosen = dict(present)
    conflicts = []
    for sound, _ in read[1:]:
        for record in sound:
            kept = chosen.setdefault(record.id, record)
            if content(kept.body) != content(record.body):
                kinds = origin.differing(origin.of(kept.body), origin.of(record.body))
                other = f", made with another {' and '.join(kinds)}" if kinds else ""
                conflicts.append(f"{record.id}: {kept.path} ({kept.status}) and {record.path} ({record.status}{other})")
    if conflicts:
        more = f"; and {len(conflicts) - SHOWN} more" if len(conflicts) > SHOWN else ""
        raise UserError(f"different content for the same run: {'; '.join(conflicts[:SHOWN])}{more}. Keep one of each")
    _refuse_other_origins([sound for sound, _ in read])
    _refuse_other_sources([sound for sound, _ in read])
    # Only now is anything written: a conflict leaves the output as it was.
    new = [record for identity, record in chosen.items() if identity not in present]
    for record in new:
        _copy(record, output)
    return Merged(len(new), len(present), tuple(bad for _, damaged in read for bad in damaged))


def _refuse_other_origins(folders: Sequence[Sequence[Record]]) -> None:
    """Refuse folders whose runs would fill one table although they are of other models, tokenizers or data.

    What a single folder mixes it may keep. Raises UserError.
    """
    seen: dict[tuple[str, ...], dict[str, Record]] = {}  # names and kind -> fingerprint -> a record with it
    for folder in folders:
        here: dict[tuple[str, ...], dict[str, Record]] = {}
        for record in folder:
            for kind, fingerprint in origin.of(record.body).items():
                here.setdefault((*origin.names(record.body["run"]), kind), {}).setdefault(fingerprint, record)
        for name, current in here.items():
            before = seen.setdefault(name, current)
            for fingerprint in current.keys() - before.keys():
                first, other = next(iter(before)), current[fingerprint]
                raise UserError(
                    f"{before[first].path} and {other.path} are of another {name[-1]} of the same name (fingerprints "
                    f"{first} and {fingerprint}), and would fill one table: keep the two folders apart"
                )


def _refuse_other_sources(folders: Sequence[Sequence[Record]]) -> None:
    """Refuse folders of which one has imported runs in a cell and another trained ones. Raises UserError.

    What a single folder mixes it may keep, as its reports say.
    """
    if not any("origin" in record.body for folder in folders for record in folder):
        return
    seen: dict[tuple[imported.Cell, bool], Record] = {}
    for folder in folders:
        here: dict[tuple[imported.Cell, bool], Record] = {}
        for record in folder:
            if (cell := imported.cell_of(record)) is not None:
                here.setdefault((cell, "origin" in record.body), record)
        for (cell, is_imported), record in here.items():
            other = seen.get((cell, not is_imported))
            if other is not None:
                raise UserError(
                    f"{other.path} and {record.path} would stand in one cell, and one of them was imported, the other "
                    "trained: keep the two folders apart"
                )
        seen |= here


# What was measured of the process, when it ran, and what older records lack and follows from the rest.
DISREGARDED = ("seconds", "peak_memory_bytes", "delta_bytes", "ended")


def content(body: Body) -> Mapping[str, Any]:
    """What of a record has to agree: all but the time and the memory that training took, and a number that older ones lack.

    Nor need the settings that change what training takes alone.
    """
    run, cost = dict(body["run"]), body["cost"]
    if isinstance(run.get("protocol"), dict):
        run["protocol"] = {key: value for key, value in run["protocol"].items() if key not in WITHOUT_EFFECT}
    if cost is None:
        return {**body, "run": run}
    return {**body, "run": run, "cost": {key: value for key, value in cost.items() if key not in DISREGARDED}}


def _copy(record: Record, output: Path) -> None:
    """Copy a record after the files beside it (predictions, a saved delta), so that it never stands without them."""
    target = output / record.path.parent.name
    beside = sorted(file for file in record.path.parent.glob(f"{record.path.stem}.*") if file != record.path)
    for file in [*beside, record.path]:
        files.write(target / file.name, file.read_bytes())
