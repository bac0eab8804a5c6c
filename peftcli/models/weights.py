"""A model's weights on disk: whether every file is there, whole and what its name says, and what tensors they hold.

Of safetensors the header is read alone; a `pytorch_model.bin` is opened by torch, as tensors and nothing else: what it holds
besides is refused, and nothing in it is run.
"""

import json
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftcli import files
from peftcli.errors import UserError
from peftcli.models import catalogue, hub
from peftcli.models.files import READ, WEIGHTS, locate

LONGEST_HEADER = 100_000_000  # bytes; safetensors itself reads none that is longer
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# What older checkpoints keep with the weights: the numbers of the positions, and which of them each one sees.
NO_WEIGHTS = ("position_ids", ".attn.bias", ".attention.bias")


@dataclass(frozen=True)
class Header:
    """What a file says of a tensor: its shape, and its type in torch's words (of one that is no float in the file's)."""

    shape: tuple[int, ...]
    type: str


Headers = dict[str, Header]  # by name, as the file has it


def folder(model: str) -> Path | None:
    """The folder with a model's config, on this machine; None where it is a hub model that is not in the local cache.

    Raises UserError for a folder that does not exist.
    """
    if catalogue.is_local(model):
        return Path(locate(model))
    name, commit = catalogue.pin(model)
    config = hub.cached_file(name, "config.json", commit)
    return None if config is None else config.parent


def are_in(folder: Path) -> bool:
    """Whether a folder has a file of weights, whatever is in it."""
    return any((folder / name).is_file() for name in WEIGHTS)


def stored(folder: Path) -> tuple[Path, Headers]:
    """The first of a folder's files with weights, and the tensors that it holds or points to.

    Raises UserError naming the file that is missing, cut short, or none of weights, and for quantised ones.
    """
    for name in READ:
        for file in sorted(folder.glob(name)):
            files.refuse_pointer(file)
    first = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if first is None:
        raise UserError(f"model folder {str(folder)!r} holds no weights: one of {', '.join(WEIGHTS)}")
    headers: Headers = {}
    for file in _shards(first) if first.suffix == ".json" else [first]:
        files.refuse_pointer(file)
        if not file.stat().st_size:
            raise UserError(f"{file} is empty: get the model's weights again")
        of_file = _of_safetensors(file) if file.suffix == ".safetensors" else _of_torch(file)
        for name, header in of_file.items():
            if header.type not in FLOATS.values() and not name.endswith(NO_WEIGHTS):
                raise UserError(f"{file} holds {name} as {header.type}: quantised weights cannot be trained")
        headers |= of_file
    return first, headers


def _shards(index: Path) -> list[Path]:
    """The files that an index of shards names. Raises UserError for one that is not there."""
    files.refuse_pointer(index)
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        shards = [index.parent / name for name in names]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise UserError(f"{index} is not an index of weights: get the model's weights again") from None
    missing = [file.name for file in shards if not file.is_file()]
    if missing:
        more = f" (nor are {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise UserError(f"{index} names {missing[0]}, which is not there{more}: get the model's weights again")
    return shards


def _of_safetensors(file: Path) -> Headers:
    """Read a safetensors file's header: eight bytes of its length, then JSON with types, shapes and places of the data."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = struct.unpack("<Q", opened.read(8).ljust(8, b"\xff"))[0]
        if length > LONGEST_HEADER:
            raise _not_weights(file, "a safetensors file")
        text = opened.read(length)
    if len(text) < length:
        raise UserError(f"{file} is cut short: it has {size:,} bytes, and its header alone {8 + length:,}")
    try:
        header: dict[str, Any] = {name: at for name, at in json.loads(text).items() if name != "__metadata__"}
        headers = {
            name: Header(tuple(map(int, at["shape"])), FLOATS.get(at["dtype"], str(at["dtype"])))
            for name, at in header.items()
        }
        end = 8 + length + max((int(at["data_offsets"][1]) for at in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _not_weights(file, "a safetensors file") from None
    if end != size:
        what = "is cut short: it" if size < end else "is damaged: it"
        raise UserError(f"{file} {what} has {size:,} bytes, and its header says {end:,}: get the model's weights again")
    return headers


def _of_torch(file: Path) -> Headers:
    import torch

    # Without its data: a file in torch's newer format is a zip archive, which can be looked into.
    mapped = zipfile.is_zipfile(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="meta", weights_only=True, mmap=mapped)
    except Exception:  # a pickle that is none, or one of anything else: torch's words advise to switch the check off
        raise _not_weights(file, "a file of tensors that torch wrote") from None
    if not isinstance(content, Mapping):
        raise _not_weights(file, "a file of tensors that torch wrote")
    return {
        str(name): Header(tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in content.items()
        if isinstance(value, torch.Tensor)
    }


def _not_weights(file: Path, what: str) -> UserError:
    return UserError(f"{file} is not {what}, or it is damaged: get the model's weights again")
