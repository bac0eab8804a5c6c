"""A run's predictions, read back from the file beside its record. No torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.errors import UserError
from peftcli.records import beside

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True)
class Predictions:
    """A run's outputs on a split, in the split's order.

    `logits` are [examples, classes] (token tasks: [words, classes]; regression: [examples]), `labels` [examples] or
    [words], and `numbers` [examples] the data set's own ids. `lengths` [examples] are a token task's words of each
    sentence; None for other tasks, and in files of earlier versions.
    """

    logits: "ndarray"
    labels: "ndarray"
    numbers: "ndarray"
    lengths: "ndarray | None"


def read(record: Path, split: str) -> Predictions | None:
    """Read what the run of a record predicted on a split; None where no predictions were kept, or none of that split.

    Raises UserError for a file of predictions that does not read back.
    """
    file = beside.predictions(record)
    if not file.is_file():
        return None
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "numpy") as opened:
            parts = {
                name: opened.get_tensor(f"{split}.{name}")
                for name in ("logits", "labels", "numbers", "lengths")
                if f"{split}.{name}" in opened.keys()  # noqa: SIM118  # it is no mapping
            }
    except (OSError, SafetensorError) as error:
        raise UserError(f"predictions {file} cannot be read: {error}") from None
    if not parts.keys() >= {"logits", "labels", "numbers"}:  # the split was not evaluated
        return None
    return Predictions(parts["logits"], parts["labels"], parts["numbers"], parts.get("lengths"))
