"""Predictions: a run's logits and example ids on its evaluated splits, in a safetensors file beside the record."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save

from peftcli import files
from peftcli.engine.cohort import Cohort
from peftcli.engine.state import State
from peftcli.records import beside


def write(record: Path, cohort: Cohort, state: State, row: int) -> Path:
    """Write `<split>.logits`, `<split>.numbers` (example ids) and `<split>.labels` of one run's last evaluation of each split.

    Of a token task, whose logits and labels are by word, `<split>.lengths` too: how many words each sentence has. Logits
    are float16 where that changes no predicted class and no number by more than 1 in 1000, else float32.
    """
    tensors: dict[str, np.ndarray] = {}
    for split, scored in sorted(state.scored[row].items()):
        examples = cohort.data[row].evaluation[split]
        tensors[f"{split}.logits"] = narrow(scored.logits)
        # safetensors writes memory as it lies, so an array that is a view has to be copied first.
        tensors[f"{split}.numbers"] = np.ascontiguousarray(examples.numbers)
        tensors[f"{split}.labels"] = np.ascontiguousarray(examples.labels)
        if examples.word_starts is not None:  # without it nobody could tell sentences apart
            tensors[f"{split}.lengths"] = np.diff(examples.word_starts)
    target = beside.predictions(record)
    files.write(target, save(tensors, metadata={"run": cohort.runs[row].id}))
    return target


def narrow(logits: np.ndarray) -> np.ndarray:
    """Logits [examples, outputs] or [examples] in float16 where nothing that shows is lost, else in float32."""
    # float16 has 11 significant bits, a relative error of at most 0.05 %; it overflows at 65504, which is not close.
    # NumPy would warn of that, with a line of this file, in the middle of a sweep's display.
    with np.errstate(over="ignore", invalid="ignore"):
        half = logits.astype(np.float16)
        close = np.allclose(half, logits, rtol=1e-3, atol=1e-3)
        same = logits.ndim == 1 or bool((half.argmax(-1) == logits.argmax(-1)).all())
        return half if close and same and logits.ndim > 1 else logits.astype(np.float32)
