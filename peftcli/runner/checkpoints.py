"""Checkpoints of a cohort in training: what moves, in one safetensors file with a checksum, resumed to the bit.

Orders, dropout and masks are functions of seed and step, so weights, Adam's moments and the history are all there is.
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
from peftcli.engine.evaluation import Scored
from peftcli.engine.optimizer import Moments
from peftcli.engine.training import History, State
from peftcli.errors import UserError
from peftcli.experiment.run import canonical

FORMAT = 1  # raised whenever a state is stored otherwise, or the same runs would go on otherwise


class Checkpoints:
    """One cohort's checkpoint file under `<output>/.checkpoints`, written when `seconds` have passed since the last.

    `data` are the fingerprints of the runs' data: a state is gone on from only with the model and data it comes from.
    """

    def __init__(self, output: Path, cohort: Cohort, seconds: float, data: Sequence[str] = ()) -> None:
        name = hashlib.sha256(canonical([run.id for run in cohort.runs])).hexdigest()[:16]
        self.path = output / ".checkpoints" / f"{name}.safetensors"
        self.cohort, self.seconds, self.last = cohort, seconds, time.monotonic()
        precision = str(cohort.assembly.precision)
        self.made_from = [FORMAT, torch.__version__, precision, cohort.network.fingerprint, *data]

    def save_if_due(self, state: State) -> None:
        """Save when the cohort has trained for longer than the setting since the last time."""
        if time.monotonic() - self.last > self.seconds:
            self.save(state)

    def save(self, state: State) -> None:
        """Write the state atomically. Raises UserError where the folder cannot be written."""
        tensors = {"flat": state.flat.detach(), "mean": state.moments.mean, "square": state.moments.square}
        if state.best is not None:
            tensors["best"] = state.best
        if state.pending:
            tensors["pending"] = torch.stack(state.pending)
        for run, splits in enumerate(state.scored):
            for split, scored in splits.items():
                tensors[f"scored/{run}/{split}"] = torch.from_numpy(scored.logits)
        data = save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, metadata=self._words(state))
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
        words = _metadata(data)
        if words.get("made_from") != self.made_from:
            return self._refuse("comes from another model, other data or another version")
        tensors = {name: tensor.to(self.cohort.device) for name, tensor in load(data).items()}
        return _state(tensors, words)

    def remove(self) -> None:
        """Remove the file, and parts of it that a process left which was stopped while writing: its runs have ended."""
        for file in (self.path, *self.path.parent.glob(f".{self.path.name}.*.tmp")):
            file.unlink(missing_ok=True)

    def _refuse(self, why: str) -> State | None:
        print(f"{self.path} {why}: these runs start over", file=sys.stderr)
        return None

    def _words(self, state: State) -> dict[str, str]:
        losses = [{split: scored.loss for split, scored in splits.items()} for splits in state.scored]
        words = {
            "made_from": self.made_from,
            "step": state.step,
            "tokens": state.tokens,
            "slots": state.slots,
            "histories": [asdict(history) for history in state.histories],
            "losses": losses,
        }
        return {"state": json.dumps(words)}


def _metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    words: dict[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["state"])
    return words


def _state(tensors: dict[str, Tensor], words: dict[str, Any]) -> State:
    scored: list[dict[str, Scored]] = [
        {split: Scored(tensors[f"scored/{run}/{split}"].cpu().numpy(), loss) for split, loss in losses.items()}
        for run, losses in enumerate(words["losses"])
    ]
    return State(
        flat=tensors["flat"].requires_grad_(),
        moments=Moments(tensors["mean"], tensors["square"]),
        best=tensors.get("best"),
        histories=[History(**history) for history in words["histories"]],
        step=words["step"],
        tokens=words["tokens"],
        slots=words["slots"],
        pending=list(tensors["pending"]) if "pending" in tensors else [],
        scored=scored,
    )
