"""Checkpoints of cohorts in training: safetensors files with a checksum, from which training goes on to the bit.

Data order, dropout and masks are functions of seed and step, so that weights, Adam's moments and the history are all
there is to store. A file names the runs it holds: a cohort that is cut differently later takes its rows from a larger one's.
"""

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from peftcli import files
from peftcli.engine.cohort import Cohort
from peftcli.engine.state import State
from peftcli.errors import UserError
from peftcli.experiment.run import canonical
from peftcli.runner import snapshots
from peftcli.runner.costs import Meter
from peftcli.runner.snapshots import Origin, Snapshot


class Checkpoints:
    """One cohort's checkpoint file under `<output>/.checkpoints`, written when `seconds` have passed since the last.

    `data` and `tokenizers` are the fingerprints of what each run read. A state is resumed only with the model, the
    tokenizer and the data it was trained with. `meter` adds to a state, before it is saved, what this process spent on it.
    """

    def __init__(
        self,
        output: Path,
        cohort: Cohort,
        seconds: float,
        data: Sequence[str] = (),
        tokenizers: Sequence[str] = (),
        meter: Meter | None = None,
    ) -> None:
        self.output, self.cohort, self.seconds, self.last = output, cohort, seconds, time.monotonic()
        unread = [""] * len(cohort.runs)
        self.origin = snapshots.origin_of(cohort, data or unread, tokenizers or unread)
        self.meter = meter or Meter(cohort.device)
        # Named after the runs, so that the same cohort writes over it.
        name = hashlib.sha256(canonical(list(self.origin.runs))).hexdigest()[:16]
        self.path = output / ".checkpoints" / f"{name}.safetensors"

    def save_if_due(self, state: State) -> None:
        """Save when the cohort has trained for longer than `seconds` since the last time."""
        if time.monotonic() - self.last > self.seconds:
            self.save(state)

    def save(self, state: State) -> None:
        """Write the state atomically. Raises UserError where the folder cannot be written."""
        files.write(self.path, files.with_checksum(snapshots.encode(self.snapshot(state))))
        self.last = time.monotonic()

    def snapshot(self, state: State) -> Snapshot:
        """The state as it is now, on the processor."""
        self.meter.count(state)
        return Snapshot(self.origin, state.on(torch.device("cpu")))

    def resume(self, kept: Snapshot | None = None) -> State | None:
        """The state of these runs that is furthest on: in `kept`, in their own file or in a larger cohort's; None without.

        A file that is damaged or of other origin is said on stderr. Raises UserError where one cannot be read.
        """
        best, complaints = kept if kept is not None and kept.origin.serves(self.origin) else None, []
        for path in [self.path, *(path for path, _ in self._others())]:
            try:
                snapshot = self._read(path, -1 if best is None else best.state.step)
            except Refused as refused:
                complaints.append(f"{path} {refused}")
            else:
                best = snapshot or best
        onward = "these runs start over" if best is None else f"these runs go on from step {best.state.step}"
        for complaint in complaints:
            print(f"{complaint}: {onward}", file=sys.stderr)
        return None if best is None else best.rows(self.cohort, self.origin)

    def remove(self) -> None:
        """Remove the file, these runs having ended, and those of larger cohorts that they were the last of.

        What a process left that was stopped while writing one of them goes with it.
        """
        ended = [path for path, origin in self._others() if all(map(self._recorded, origin.runs))]
        for path in (self.path, *ended):
            for file in (path, *path.parent.glob(f".{path.name}.*.tmp")):
                file.unlink(missing_ok=True)

    def _others(self) -> list[tuple[Path, Origin]]:
        """The files of other cohorts that hold all of these runs."""
        others = []
        for path in sorted(self.path.parent.glob("[!.]*.safetensors")):
            # One whose beginning cannot be read may be anybody's: the cohort that wrote it will say so.
            origin = None if path == self.path else _origin(path)
            if origin is not None and self.origin.runs.keys() <= origin.runs.keys():
                others.append((path, origin))
        return others

    def _read(self, path: Path, step: int) -> Snapshot | None:
        """Read a file; None where there is none, or none further on than a step. Raises Refused, and UserError."""
        try:
            data = files.without_checksum(path.read_bytes())
        except FileNotFoundError:  # another process may have removed it just now
            return None
        except OSError as error:
            raise UserError(f"cannot read checkpoint {path}: {error.strerror}") from None
        if data is None:
            raise Refused("is damaged")
        snapshot = snapshots.decode(data)
        if snapshot is None or not snapshot.origin.serves(self.origin):
            raise Refused("comes from another model or tokenizer, other data or another version")
        return snapshot if snapshot.state.step > step else None

    def _recorded(self, run: str) -> bool:
        """Whether a run of that id has a record."""
        return any(self.output.glob(f"[!.]*/*-{run}.json"))


class Refused(Exception):
    """A checkpoint that these runs cannot go on from; its message says why."""


def _origin(path: Path) -> Origin | None:
    """What the beginning of a checkpoint file says of its state's origin; None where it says nothing."""
    try:
        with path.open("rb") as stream:
            head = stream.read(files.DIGEST_BYTES + 8)[files.DIGEST_BYTES :]
            header = snapshots.read_header(head + stream.read(int.from_bytes(head, "little")))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return None if header is None else header[0]
