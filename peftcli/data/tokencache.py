"""Tokenised splits on disk: a safetensors file for each tokenizer, task data and length. A damaged one is replaced."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peftcli import files
from peftcli.data.examples import Examples
from peftcli.data.tokens import Encoded
from peftcli.errors import UserError
from peftcli.experiment.run import canonical

FORMAT = 2  # raised whenever the same texts would be tokenised otherwise, or be stored otherwise
# How arrays are stored that are int64 in memory; the largest vocabulary fits in 32 bits.
STORED = {"ids": np.int32, "types": np.uint8}
FIELDS = ("ids", "types", "starts", "labels", "numbers", "words", "word_starts", "word_numbers", "spans")
COUNTS = ("dropped", "cut_words", "words_without_pieces")


def path(name: str, dependencies: Mapping[str, Any]) -> Path:
    """Return the file of a task's tokenised splits. `dependencies` is everything that its content depends on."""
    key = hashlib.sha256(canonical({"format": FORMAT, **dependencies})).hexdigest()[:20]
    return files.cache_folder() / "tokens" / f"{name}-{key}.safetensors"


def save(file: Path, splits: Mapping[str, Encoded]) -> None:
    """Write a task's tokenised splits. Raises UserError where the cache cannot be written."""
    arrays = {
        f"{split}.{field}": np.ascontiguousarray(array.astype(STORED.get(field, array.dtype), copy=False))
        for split, encoded in splits.items()
        for field in FIELDS
        if (array := getattr(encoded.examples, field)) is not None
    }
    counts = {
        split: {"group": encoded.examples.group, **{name: getattr(encoded, name) for name in COUNTS}}
        for split, encoded in splits.items()
    }
    text = json.dumps(counts, sort_keys=True)
    try:
        files.write(file, files.seal(arrays, {"splits": text}, text, "numpy"))
    except UserError as error:
        raise UserError(f"{error} (the cache of tokenised data; {files.CACHE_DIR} names another folder)") from None


def load(file: Path) -> dict[str, Encoded] | None:
    """Read a task's tokenised splits back, None where there is no file or a damaged one."""
    from safetensors import SafetensorError

    if not file.is_file():
        return None
    try:
        sealed = files.unseal(file, "numpy")
    except (SafetensorError, OSError):
        return None
    text = sealed.metadata.get("splits", "")
    if not sealed.intact(text):
        return None
    return {split: _encoded(split, counts, sealed.tensors) for split, counts in json.loads(text).items()}


def _encoded(split: str, counts: dict[str, int], arrays: Mapping[str, NDArray[Any]]) -> Encoded:
    stored = {field: arrays[f"{split}.{field}"] for field in FIELDS if f"{split}.{field}" in arrays}
    fields = {field: array.astype(np.int64) if field in STORED else array for field, array in stored.items()}
    return Encoded(Examples(**fields, group=counts["group"]), *(counts[name] for name in COUNTS))
