"""A cohort's state at a moment, with what it was trained from: the same runs go on from it, or a smaller cohort with its rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from peftcli.engine.cohort import Cohort
from peftcli.engine.device import resolve_precision
from peftcli.engine.evaluation import Scored
from peftcli.engine.optimizer import Moments
from peftcli.engine.state import History, Span, State

FORMAT = 2  # raised whenever a state is stored otherwise, or trained on from otherwise


@dataclass(frozen=True)
class Origin:
    """What a state was trained from. `runs` are its rows' ids, each with its data's and tokenizer's fingerprints."""

    made_from: list[Any]  # this format, torch, precision and model: the same for all runs
    runs: dict[str, list[str]]
    columns: dict[str, Span]  # by tensor

    def serves(self, other: "Origin") -> bool:
        """Whether a state of this origin holds the other's rows."""
        same = all(self.runs.get(run) == fingerprints for run, fingerprints in other.runs.items())
        return same and self.made_from == other.made_from and other.columns.keys() <= self.columns.keys()


@dataclass(frozen=True)
class Snapshot:
    """A state on the processor, and its origin."""

    origin: Origin
    state: State

    def rows(self, cohort: Cohort, origin: Origin) -> State:
        """The state, on its device, of a cohort whose origin this one's `serves`; a copy."""
        ids = list(self.origin.runs)
        # A tensor's dead slots are its last columns: a smaller cohort may have fewer of them, and needs the first columns.
        columns = []
        for name, (start, stop) in origin.columns.items():
            first, last = self.origin.columns[name]
            assert stop - start <= last - first, f"{name} has fewer columns in a cohort of more runs"
            columns.append((first, first + stop - start))
        rows = [ids.index(run) for run in origin.runs]
        return self.state.rows(rows, columns, cohort.tokens(self.state.step)).on(cohort.device)


def origin_of(cohort: Cohort, data: Sequence[str], tokenizers: Sequence[str]) -> Origin:
    """What a cohort's state is trained from; the fingerprints are of what its runs read, in their order."""
    precision = resolve_precision(cohort.training.precision, cohort.device)
    made_from: list[Any] = [FORMAT, torch.__version__, precision, cohort.network.fingerprint]
    # States of such strategies once held losses with the penalty in them, which would be written down beside bare ones.
    if cohort.assembly.tuning.penalty is not None:
        made_from.append("penalty apart")
    read = [[*fingerprints] for fingerprints in zip(data, tokenizers, strict=True)]
    runs = dict(zip([run.id for run in cohort.runs], read, strict=True))
    return Origin(made_from, runs, {piece.name: (piece.start, piece.stop) for piece in cohort.assembly.pieces})


def encode(snapshot: Snapshot) -> bytes:
    """Write a snapshot as a safetensors file, whose first bytes say what `read_origin` needs."""
    state = snapshot.state
    tensors = {"flat": state.flat.detach(), "mean": state.moments.mean, "square": state.moments.square}
    if state.best is not None:
        tensors["best"] = state.best
    if state.pending:  # losses of the steps since the last that was logged, one [runs] a step
        tensors["pending"] = torch.stack(state.pending)
    if state.penalties:
        tensors["penalties"] = torch.stack(state.penalties)
    for row, splits in enumerate(state.scored):
        for split, scored in splits.items():
            tensors[f"scored/{row}/{split}"] = torch.from_numpy(scored.logits)
    # All that is no tensor. JSON writes every float with the digits that read back to the same bits.
    values = {
        "step": state.step,
        "tokens": state.tokens,
        "slots": state.slots,
        "seconds": state.seconds,
        "peak_memory_bytes": state.peak_memory_bytes,
        "histories": [asdict(history) for history in state.histories],
        "losses": [{split: scored.loss for split, scored in splits.items()} for splits in state.scored],
    }
    metadata = {"origin": json.dumps(asdict(snapshot.origin)), "state": json.dumps(values)}
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)


def read_header(data: bytes) -> tuple[Origin, dict[str, Any]] | None:
    """The origin of the state in a file and what of it is no tensor; None for another version's file.

    The file's first bytes are enough, if they hold the whole header. Raises ValueError and KeyError where they do not.
    """
    # A safetensors file begins with its header's length (8 bytes, little endian) and the header, in JSON.
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    if "origin" not in metadata:
        return None
    fields = json.loads(metadata["origin"])
    columns = {name: (start, stop) for name, (start, stop) in fields["columns"].items()}
    return Origin(fields["made_from"], fields["runs"], columns), json.loads(metadata["state"])


def decode(data: bytes) -> Snapshot | None:
    """Read back what `encode` wrote; None where another version wrote it. Its bytes must be known to be sound."""
    header = read_header(data)
    return None if header is None else Snapshot(header[0], _state(load(data), header[1]))


def _state(tensors: dict[str, Tensor], values: dict[str, Any]) -> State:
    """Put a state together again from what `encode` wrote of it."""
    scored: list[dict[str, Scored]] = [
        {split: Scored(tensors[f"scored/{row}/{split}"].numpy(), loss) for split, loss in losses.items()}
        for row, losses in enumerate(values["losses"])
    ]
    return State(
        flat=tensors["flat"],
        moments=Moments(tensors["mean"], tensors["square"]),
        best=tensors.get("best"),
        histories=[History(**history) for history in values["histories"]],
        step=values["step"],
        tokens=values["tokens"],
        slots=values["slots"],
        pending=list(tensors["pending"]) if "pending" in tensors else [],
        penalties=list(tensors["penalties"]) if "penalties" in tensors else [],
        scored=scored,
        seconds=values["seconds"],
        peak_memory_bytes=values["peak_memory_bytes"],
    )
