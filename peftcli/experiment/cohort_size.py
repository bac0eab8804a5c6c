"""How many runs train together: decided once for a sweep, pinned beside its records, halved when memory runs out."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment.run import Run, canonical

ON_PROCESSOR = 8  # measured: more together gain little on two cores (results/bench)
ON_GPU = 32  # one run leaves most of a GPU idle
VALUES_BYTES = 2_000_000_000  # for the trained values of a cohort, their gradients and Adam's moments


def sweep_id(runs: Sequence[Run]) -> str:
    """A name for the set of runs of a recipe, whatever their order."""
    return hashlib.sha256(canonical(sorted(run.id for run in runs))).hexdigest()[:16]


def pinned(output: Path, name: str) -> int | None:
    """The cohort size pinned for a sweep, None where none is. Raises UserError for a damaged pin."""
    file = _file(output, name)
    if not file.exists():
        return None
    try:
        size = json.loads(file.read_text())["cohort"]
    except (ValueError, KeyError, TypeError):
        size = None
    if not isinstance(size, int) or size < 1:
        raise UserError(f"{file} is damaged: remove it, or give --cohort")
    return size


def pin(output: Path, name: str, size: int) -> int:
    """Pin a sweep's cohort size, so that a restart makes the same cohorts."""
    files.write(_file(output, name), json.dumps({"cohort": size}) + "\n")
    return size


def default(on_gpu: bool) -> int:
    """The cohort size a sweep starts with on a machine with or without a GPU."""
    return ON_GPU if on_gpu else ON_PROCESSOR


def choose(output: Path, runs: Sequence[Run], asked: int | None, on_gpu: bool, *, keep: bool = False) -> int:
    """The cohort size of a sweep: the one asked for, else the one pinned for its runs, else the default.

    `keep` pins the default, so that a restart makes the same cohorts. Raises UserError for a damaged pin.
    """
    if asked is not None:
        return asked
    name = sweep_id(runs)
    size = pinned(output, name)
    if size is None:
        size = default(on_gpu)
        if keep:
            pin(output, name, size)
    return size


def limit(size: int, columns: int) -> int:
    """Cut a cohort size to what the trained values' memory allows: 16 bytes for each of a run's columns, 2 GB in all."""
    # 4 bytes each for the value, its gradient and Adam's two moments.
    return max(1, min(size, VALUES_BYTES // (16 * max(1, columns))))


# A hidden folder: `read_all` looks for records in the others only.
def _file(output: Path, name: str) -> Path:
    return output / ".sweeps" / f"{name}.json"
