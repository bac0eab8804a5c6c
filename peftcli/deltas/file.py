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
from peftcli.engine.training import State, last_evaluated
from peftcli.errors import UserError
from peftcli.experiment.run import Run, canonical
from peftcli.records import beside

FORMAT = 1
INDEX, VALUES = "::index", "::values"
LARGEST_INDEX = 2**31
KEYS = ("format", "model", "fingerprint", "data", "run", "labels", "company")


@dataclass(frozen=True)
class Company:
    """The cohort a run was evaluated in: bits depend on the shapes of its batches, and these on all its runs.

    `seeds` of its runs, `row` this one's place among them, `slots` by tensor the columns its selected elements had.
    """

    seeds: tuple[int, ...]
    row: int
    slots: Mapping[str, int]


@dataclass(frozen=True)
class Delta:
    """What a run moved. `model` and `fingerprint` are the base's, `data` the fingerprint of the data it trained on.

    `tensors` by name: a whole tensor under its pre-trained name (inserted ones under their module's), or of one that
    moved in places `NAME::index` (ascending places in the flat tensor) and `NAME::values`.
    """

    run: Run
    model: str
    fingerprint: str
    data: str
    labels: tuple[str, ...]
    company: Company
    tensors: dict[str, Tensor]

    def names(self) -> list[str]:
        """Name every tensor that moved, wholly or in places."""
        return list(dict.fromkeys(name.partition("::")[0] for name in self.tensors))


def write(record: Path, cohort: Cohort, state: State, row: int, data: str) -> Path:
    """Write what one run of an ended cohort moved; `data` is its data's fingerprint. Raises UserError."""
    target = beside.delta(record)
    files.write(target, encode(make(cohort, state, row, data)))
    return target


@torch.no_grad()
def make(cohort: Cohort, state: State, row: int, data: str) -> Delta:
    """Take what one run moved out of an ended cohort: the weights its recorded evaluation was computed with."""
    assembly, run = cohort.assembly, cohort.runs[row]
    given = assembly.values(state.flat.detach())
    if assembly.tuning.tensors is not None:
        given = assembly.tuning.tensors(given, assembly.start, last_evaluated(cohort, state))
    tensors: dict[str, Tensor] = {}
    for name, value in given.items():
        tensors |= (
            _element_tensors(cohort, name, value, row) if name in assembly.index else _brief(cohort, name, value[row])
        )
    for name, tensor in assembly.fixed.items():
        tensors |= _brief(cohort, name, tensor[row if len(tensor) > 1 else 0])
    slots = {n: i.shape[1] for n, i in assembly.index.items() if f"{n}{INDEX}" in tensors}
    return Delta(
        run=run,
        model=run.model,
        fingerprint=cohort.network.fingerprint,
        data=data,
        labels=cohort.data[row].labels,
        company=Company(tuple(own.seed for own in cohort.runs), row, slots),
        tensors={name: tensor.cpu().contiguous() for name, tensor in tensors.items()},
    )


def encode(delta: Delta) -> bytes:
    """Write a delta as one byte string, its metadata JSON strings, a checksum over everything among them."""
    about = {
        "format": FORMAT,
        "model": delta.model,
        "fingerprint": delta.fingerprint,
        "data": delta.data,
        "run": delta.run.model_dump(),
        "labels": list(delta.labels),
        "company": {"seeds": delta.company.seeds, "row": delta.company.row, "slots": delta.company.slots},
    }
    metadata = {key: canonical(value).decode() for key, value in about.items()}
    return files.seal(delta.tensors, metadata, _covered(metadata), "torch")


def read(file: Path) -> Delta:
    """Read a delta; nothing in it is executed. Raises UserError where it is not one, or damaged."""
    try:
        sealed = files.unseal(file, "torch")
    except (SafetensorError, OSError) as error:
        reason = "does not exist" if not file.exists() else f"is no delta ({str(error).partition(chr(10))[0][:120]})"
        raise UserError(f"delta {file} {reason}") from None
    if set(sealed.metadata) != set(KEYS):
        raise UserError(f"delta {file} is a safetensors file, but not one that --save-delta wrote")
    if not sealed.intact(_covered(sealed.metadata)):
        raise UserError(f"delta {file}: its checksum does not match: the file was damaged or edited")
    return _parsed(file, {key: json.loads(text) for key, text in sealed.metadata.items()}, sealed.tensors)


def _parsed(file: Path, about: dict[str, Any], tensors: dict[str, Tensor]) -> Delta:
    if about["format"] != FORMAT:
        raise UserError(f"delta {file} is of format {about['format']!r}; this version reads {FORMAT}")
    company = about["company"]
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
        company=Company(tuple(company["seeds"]), company["row"], company["slots"]),
        tensors=tensors,
    )


def _element_tensors(cohort: Cohort, name: str, value: Tensor, row: int) -> dict[str, Tensor]:
    """Store selected elements by place; where the base does not have the rest of the tensor, all of it."""
    index = cohort.assembly.index[name][row].to(value.device)
    size = cohort.network.anatomy.by_name[name].size
    places, values = index[index < size], value[row][index < size]
    if _in_base(cohort, name):
        return _sparse(name, places, values, size)
    start = cohort.assembly.start[name]
    shape = cohort.network.anatomy.by_name[name].shape
    own = start if start.ndim == len(shape) else start[row]
    return {name: own.reshape(-1).scatter(0, places, values.to(own.dtype)).view(shape)}


def _brief(cohort: Cohort, name: str, value: Tensor) -> dict[str, Tensor]:
    """Store a tensor whole, or by the places where it differs from the base's if that is smaller."""
    if name not in cohort.network.weights or name in cohort.network.fresh:
        return {name: value}
    moved = (value != cohort.network.weights[name].to(value)).flatten()
    if int(moved.sum()) * (4 + value.element_size()) >= value.numel() * value.element_size():
        return {name: value}
    places = moved.nonzero()[:, 0]
    return _sparse(name, places, value.flatten()[places], value.numel()) if len(places) else {}


def _sparse(name: str, places: Tensor, values: Tensor, size: int) -> dict[str, Tensor]:
    kind = torch.int32 if size < LARGEST_INDEX else torch.int64
    return {f"{name}{INDEX}": places.to(kind), f"{name}{VALUES}": values}


def _in_base(cohort: Cohort, name: str) -> bool:
    """Whether a run's tensor starts at the base's own values: neither drawn for it nor put elsewhere."""
    network, start = cohort.network, cohort.assembly.start
    return name in network.weights and name not in network.fresh and start[name] is network.weights[name]


def _covered(metadata: Mapping[str, str]) -> str:
    """What of the metadata the file's checksum is over: all of it."""
    return json.dumps(metadata, sort_keys=True)
