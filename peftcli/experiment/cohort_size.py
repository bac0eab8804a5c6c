"""How many runs train together: decided once for a sweep, pinned beside its records, halved when memory runs out."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from peftcli import files
from peftcli.errors import UserError
from peftcli.experiment.run import Run, canonical

ON_PROCESSOR = 8  # measured: more together gain little on two cores (results/bench)
VALUES_BYTES = 2_000_000_000  # on a processor: for a cohort's trained values, their gradients and Adam's moments
# On a GPU as many as its memory holds, of these: a size should not change with every token more or less.
LADDER = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
ON_GPU = LADDER[-1]
SPARE = 0.1  # of a GPU's memory: for CUDA's own needs, and for what the allocator cannot use of it


@dataclass(frozen=True)
class Footprint:
    """What training takes of a GPU's memory, in bytes: `shared` however many runs train together, and `each` for a run."""

    shared: int
    each: int

    def fitting(self, memory: int) -> int:
        """The most runs of the ladder that fit in a GPU with so many bytes; one at least, which may not fit."""
        return max((n for n in LADDER if self.bytes(n) <= memory * (1 - SPARE)), default=1)

    def bytes(self, runs: int) -> int:
        """What so many runs take together."""
        return self.shared + self.each * runs


@dataclass(frozen=True)
class Pin:
    """What is decided of a sweep: at most `cohort` runs together, and of a kind of run no more than `sizes` says.

    `sizes`, by `kind`, is what a GPU's `memory` (bytes) holds; both are empty on a processor, and on a cluster's login node
    until the first job knows.
    """

    cohort: int
    memory: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)

    def together(self, run: Run) -> int:
        """How many runs like this one train together at most."""
        # A kind is a hash: not asked for where no kind has a size of its own.
        return min(self.cohort, self.sizes.get(kind(run), self.cohort)) if self.sizes else self.cohort


def memory_key(run: Run) -> str:
    """What runs have in common that may train together and take as much memory, as text."""
    # What is computed again is no part of a run, but decides how many fit.
    return run.cohort_key() + (" checkpoint_activations" if run.protocol.checkpoint_activations else "")


def kind(run: Run) -> str:
    """A short name for all runs that may train together with this one and take as much memory."""
    return hashlib.sha256(memory_key(run).encode()).hexdigest()[:16]


def sweep_id(runs: Sequence[Run]) -> str:
    """A name for the set of runs of a recipe, whatever their order."""
    return hashlib.sha256(canonical(sorted(run.id for run in runs))).hexdigest()[:16]


def pinned(output: Path, name: str) -> Pin | None:
    """What is pinned for a sweep, None where nothing is. Raises UserError for a damaged pin."""
    file = _file(output, name)
    if not file.exists():
        return None
    try:
        pin = Pin(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        pin = Pin(0)
    sizes = list(pin.sizes.values()) if isinstance(pin.sizes, dict) else [None]
    numbers = [pin.cohort, *sizes, *([] if pin.memory is None else [pin.memory])]
    if not all(isinstance(number, int) and number >= 1 for number in numbers):
        raise UserError(f"{file} is damaged: remove it, or give --cohort")
    return pin


def pin(output: Path, name: str, decided: Pin) -> Pin:
    """Pin what is decided of a sweep, so that a restart makes the same cohorts."""
    document = {key: value for key, value in asdict(decided).items() if value}
    files.write(_file(output, name), json.dumps(document) + "\n")
    return decided


def choose(output: Path, runs: Sequence[Run], asked: int | None, on_gpu: bool) -> Pin:
    """What a sweep's cohorts are cut by: the size asked for, else what is pinned for its runs, else the default.

    Raises UserError for a damaged pin.
    """
    if asked is not None:
        return Pin(asked)
    return pinned(output, sweep_id(runs)) or Pin(ON_GPU if on_gpu else ON_PROCESSOR)


def limit(size: int, columns: int) -> int:
    """Cut a cohort size to what a processor's memory allows: 16 bytes for each of a run's trained numbers, 2 GB in all."""
    # 4 bytes each for the value, its gradient and Adam's two moments.
    return max(1, min(size, VALUES_BYTES // (16 * max(1, columns))))


# A hidden folder: `read_all` looks for records in the others only.
def _file(output: Path, name: str) -> Path:
    return output / ".sweeps" / f"{name}.json"
