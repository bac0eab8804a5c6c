"""Deltas: what one run moved, in a safetensors file beside its record. With the same base it is the fine-tuned model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from peftcli import files
from peftcli.engine.cohort import Cohort
from peftcli.engine.state import State
from peftcli.engine.training import last_evaluated
from peftcli.errors import UserError, first_line
from peftcli.experiment.run import Run, canonical
from peftcli.records import beside
from peftcli.strategies.pretrained import widened

FORMAT = 1  # raised whenever the same delta would be stored otherwise
INDEX, VALUES = "::index", "::values"
LARGEST_INDEX = 2**31  # positions of tensors with fewer elements fit in int32
# The entries of the metadata; `company` is what earlier versions called a cohort's members, and stays in files.
KEYS = ("format", "model", "fingerprint", "data", "run", "labels", "company")
LATER = ("tokenizer",)  # what the files of earlier versions do not say


@dataclass(frozen=True)
class Members:
    """The runs of the cohort a run was evaluated in: bits depend on the shapes of its batches, and these on all of them.

    `seeds` are theirs, `row` is this run's position among them, and `slots` is by tensor the width of the cohort's index
    [runs, slots], which the run with the most selected elements sets.
    """

    seeds: tuple[int, ...]
    row: int
    slots: Mapping[str, int]


@dataclass(frozen=True)
class Delta:
    """What a run moved. `model` and `fingerprint` are the base's, `data` the fingerprint of the data it trained on.

    `tokenizer` is the fingerprint of the tokenizer it trained with; None in a file of an earlier version.

    `tensors` by name: a whole tensor under its pre-trained name (inserted ones under their module's), or of one that
    moved in parts `NAME::index` (ascending positions in the flat tensor) and `NAME::values`.
    """

    run: Run
    model: str
    fingerprint: str
    data: str
    labels: tuple[str, ...]
    members: Members
    tensors: dict[str, Tensor]
    tokenizer: str | None = None

    def names(self) -> list[str]:
        """Every tensor that moved, wholly or in parts."""
        return list(dict.fromkeys(name.partition("::")[0] for name in self.tensors))


def write(record: Path, cohort: Cohort, moved: dict[str, Tensor], row: int, data: str, tokenizer: str) -> Path:
    """Write what one run of an ended cohort `moved`; `data` and `tokenizer` are fingerprints. Raises UserError."""
    run, index = cohort.runs[row], cohort.assembly.index
    delta = Delta(
        run=run,
        model=run.model,
        fingerprint=cohort.network.fingerprint,
        data=data,
        labels=cohort.data[row].labels,
        members=Members(
            tuple(member.seed for member in cohort.runs),
            row,
            {name: positions.shape[1] for name, positions in index.items() if f"{name}{INDEX}" in moved},
        ),
        tensors={name: tensor.cpu().contiguous() for name, tensor in moved.items()},
        tokenizer=tokenizer,
    )
    target = beside.delta(record)
    files.write(target, encode(delta))
    return target


@torch.no_grad()
def weights(cohort: Cohort, state: State) -> dict[str, Tensor]:
    """The weights that an ended cohort's recorded evaluations were computed with, by name, each [runs, …]."""
    assembly = cohort.assembly
    values = assembly.values(state.flat.detach())
    if assembly.tuning.tensors is None:
        return values
    return assembly.tuning.tensors(values, assembly.start, last_evaluated(cohort, state))


def moved(cohort: Cohort, weights: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    """The tensors of one run's delta, on their device; `weights` are the cohort's."""
    assembly, tensors = cohort.assembly, dict[str, Tensor]()
    for name, value in weights.items():
        if name in assembly.index:
            tensors |= _selected_elements(cohort, name, value, row)
        else:
            tensors |= _shortest(cohort, name, value[row])
    # What starts elsewhere than pre-trained and does not move: a row a run where it was drawn, else one for all.
    for name, tensor in assembly.fixed.items():
        value = tensor[row if len(tensor) > 1 else 0]
        # One drawn equal to the base's (a new model's gains of one) is stored all the same: it computes in float32, and the
        # network's own in bfloat16.
        tensors |= _shortest(cohort, name, value) or {name: value}
    return tensors


def stored_bytes(moved: Mapping[str, Tensor]) -> int:
    """What a delta takes: the bytes of its tensors, values and positions. A file's header and checksum come on top."""
    return sum(tensor.nbytes for tensor in moved.values())


def encode(delta: Delta) -> bytes:
    """A delta as the bytes of its file; each entry of the metadata is JSON."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "model": delta.model,
        "fingerprint": delta.fingerprint,
        "data": delta.data,
        "run": delta.run.model_dump(),
        "labels": list(delta.labels),
        "company": {"seeds": delta.members.seeds, "row": delta.members.row, "slots": delta.members.slots},
    }
    if delta.tokenizer is not None:
        about["tokenizer"] = delta.tokenizer
    metadata = {key: canonical(value).decode() for key, value in about.items()}
    return files.seal(delta.tensors, metadata, _covered(metadata), "torch")


def read(file: Path) -> Delta:
    """Read a delta; nothing in it is executed. Raises UserError where it is not one, or damaged."""
    try:
        sealed = files.unseal(file, "torch")
    except (SafetensorError, OSError) as error:
        reason = "does not exist" if not file.exists() else f"is no delta ({first_line(error, 120)})"
        raise UserError(f"delta {file} {reason}") from None
    # Before the checksum: a safetensors file of another program has none, which is not damage.
    if set(sealed.metadata) - set(LATER) != set(KEYS):
        raise UserError(f"delta {file} is a safetensors file, but not one that --save-delta wrote")
    if not sealed.intact(_covered(sealed.metadata)):
        raise UserError(f"delta {file}: its checksum does not match: the file was damaged or edited")
    return _parsed(file, {key: json.loads(text) for key, text in sealed.metadata.items()}, sealed.tensors)


def _parsed(file: Path, about: dict[str, Any], tensors: dict[str, Tensor]) -> Delta:
    if about["format"] != FORMAT:
        raise UserError(f"delta {file} is of format {about['format']!r}; this version reads {FORMAT}")
    members = about["company"]
    try:
        run = Run.model_validate(about["run"])
    except ValidationError as error:
        raise UserError(
            f"delta {file}: its run is not one this version knows ({error.error_count()} findings)"
        ) from None
    return Delta(
        run=run,
        model=about["model"],
        fingerprint=about["fingerprint"],
        data=about["data"],
        labels=tuple(about["labels"]),
        members=Members(tuple(members["seeds"]), members["row"], members["slots"]),
        tensors=tensors,
        tokenizer=about.get("tokenizer"),
    )


def _selected_elements(cohort: Cohort, name: str, value: Tensor, row: int) -> dict[str, Tensor]:
    """Store selected elements by position; where the base does not have the rest of the tensor, all of it."""
    index = cohort.assembly.index[name][row].to(value.device)
    network, start = cohort.network, cohort.assembly.start[name]
    parameter = network.anatomy.by_name[name]
    live = index < parameter.size  # dead slots point one past the end
    positions, values = index[live], value[row][live]
    # The base has the rest where the run starts at the base's own tensor: neither drawn for it nor put elsewhere.
    if name in network.weights and name not in network.fresh and start is network.weights[name]:
        return _by_position(name, positions, values, parameter.size)
    before = widened(start if start.ndim == len(parameter.shape) else start[row])
    return {name: before.reshape(-1).scatter(0, positions, values.to(before.dtype)).view(parameter.shape)}


def _shortest(cohort: Cohort, name: str, value: Tensor) -> dict[str, Tensor]:
    """Store a tensor whole, or by the positions where it differs from the base's if that takes fewer bytes."""
    if name not in cohort.network.weights or name in cohort.network.fresh:
        return {name: value}
    moved = (value != cohort.network.weights[name].to(value)).flatten()
    # A position takes four bytes (int32) beside its value.
    if int(moved.sum()) * (4 + value.element_size()) >= value.numel() * value.element_size():
        return {name: value}
    positions = moved.nonzero()[:, 0]
    return _by_position(name, positions, value.flatten()[positions], value.numel()) if len(positions) else {}


def _by_position(name: str, positions: Tensor, values: Tensor, size: int) -> dict[str, Tensor]:
    dtype = torch.int32 if size < LARGEST_INDEX else torch.int64
    return {f"{name}{INDEX}": positions.to(dtype), f"{name}{VALUES}": values}


def _covered(metadata: Mapping[str, str]) -> str:
    """The text that a delta's checksum covers: all of its metadata."""
    return json.dumps(metadata, sort_keys=True)
