"""Checkpoints of a cohort in training: one safetensors file with a checksum, from which training goes on to the bit.

Data order, dropout and masks are functions of seed and step, so that weights, Adam's moments and the history are all
there is to store.
"""

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from peftcli import files
from peftcli.engine.cohort import Cohort
from peftcli.engine.device import resolve_precision
from peftcli.engine.evaluation import Scored
from peftcli.engine.optimizer import Moments
from peftcli.engine.training import History, State
from peftcli.errors import UserError
from peftcli.experiment.run import canonical

FORMAT = 1  # raised whenever a state is stored otherwise, or trained on from otherwise


class Checkpoints:
    """One cohort's checkpoint file under `<output>/.checkpoints`, written when `seconds` have passed since the last.

    `data` and `tokenizers` are the fingerprints of what the runs read. A state is resumed only with the model, the
    tokenizer and the data it was trained with.
    """

    def __init__(
        self, output: Path, cohort: Cohort, seconds: float, data: Sequence[str] = (), tokenizers: Sequence[str] = ()
    ) -> None:
        # Named after the runs: the same cohort finds it again, and one that was cut differently starts over.
        name = hashlib.sha256(canonical([run.id for run in cohort.runs])).hexdigest()[:16]
        self.path = output / ".checkpoints" / f"{name}.safetensors"
        self.cohort, self.seconds, self.last = cohort, seconds, time.monotonic()
        precision = resolve_precision(cohort.training.precision, cohort.device)
        self.origin = [FORMAT, torch.__version__, precision, cohort.network.fingerprint, *data]
        self.tokenizers = list(tokenizers)

    def save_if_due(self, state: State) -> None:
        """Save when the cohort has trained for longer than `seconds` since the last time."""
        if time.monotonic() - self.last > self.seconds:
            self.save(state)

    def save(self, state: State) -> None:
        """Write the state atomically. Raises UserError where the folder cannot be written."""
        tensors = {"flat": state.flat.detach(), "mean": state.moments.mean, "square": state.moments.square}
        if state.best is not None:
            tensors["best"] = state.best
        if state.pending:  # losses of the steps since the last that was logged, one [runs] a step
            tensors["pending"] = torch.stack(state.pending)
        for row, splits in enumerate(state.scored):
            for split, scored in splits.items():
                tensors[f"scored/{row}/{split}"] = torch.from_numpy(scored.logits)
        # All that is no tensor. JSON writes every float with the digits that read back to the same bits.
        values = {
            "made_from": self.origin,
            "tokenizers": self.tokenizers,
            "step": state.step,
            "tokens": state.tokens,
            "slots": state.slots,
            "histories": [asdict(history) for history in state.histories],
            "losses": [{split: scored.loss for split, scored in splits.items()} for splits in state.scored],
        }
        data = save(
            {name: tensor.contiguous().cpu() for name, tensor in tensors.items()},
            metadata={"state": json.dumps(values)},
        )
        files.write(self.path, files.with_checksum(data))
        self.last = time.monotonic()

    def resume(self) -> State | None:
        """Read the state back; None where there is none, and where it is damaged or of other origin (said on stderr).

        Raises UserError where the file is there but cannot be read.
        """
        try:
            data = files.without_checksum(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"cannot read checkpoint {self.path}: {error.strerror}") from None
        if data is None:
            return self._refuse("is damaged")
        # A safetensors file begins with its header's length (8 bytes, little endian) and the header, in JSON.
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        values: dict[str, Any] = json.loads(header["__metadata__"]["state"])
        # A file of an earlier version does not say which tokenizers it was trained with.
        if values.get("made_from") != self.origin or values.get("tokenizers", self.tokenizers) != self.tokenizers:
            return self._refuse("comes from another model or tokenizer, other data or another version")
        return _state({name: tensor.to(self.cohort.device) for name, tensor in load(data).items()}, values)

    def remove(self) -> None:
        """Remove the file, and what a process left that was stopped while writing it: its runs have ended."""
        for file in (self.path, *self.path.parent.glob(f".{self.path.name}.*.tmp")):
            file.unlink(missing_ok=True)

    def _refuse(self, why: str) -> State | None:
        print(f"{self.path} {why}: these runs start over", file=sys.stderr)
        return None


def _state(tensors: dict[str, Tensor], values: dict[str, Any]) -> State:
    """Put a state together again from what `save` wrote of it."""
    scored: list[dict[str, Scored]] = [
        {split: Scored(tensors[f"scored/{row}/{split}"].cpu().numpy(), loss) for split, loss in losses.items()}
        for row, losses in enumerate(values["losses"])
    ]
    return State(
        flat=tensors["flat"].requires_grad_(),
        moments=Moments(tensors["mean"], tensors["square"]),
        best=tensors.get("best"),
        histories=[History(**history) for history in values["histories"]],
        step=values["step"],
        tokens=values["tokens"],
        slots=values["slots"],
        pending=list(tensors["pending"]) if "pending" in tensors else [],
        scored=scored,
    )
