"""Checkpoints of a cohort in training: what moves, in one safetensors file with a checksum, resumed to the bit.

Orders, dropout and masks are functions of seed and step, so weights, Adam's moments and the history are all there is.
"""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from peftcli import files
from peftcli.cohort import Cohort
from peftcli.engine import History, State
from peftcli.evaluation import Scored
from peftcli.optimizer import Moments
from peftcli.runs import canonical


class Checkpoints:
    """One cohort's checkpoint file under `<output>/.checkpoints`, written when `seconds` have passed since the last."""

    def __init__(self, output: Path, cohort: Cohort, seconds: float) -> None:
        name = hashlib.sha256(canonical([run.id for run in cohort.runs])).hexdigest()[:16]
        self.path = output / ".checkpoints" / f"{name}.safetensors"
        self.cohort, self.seconds, self.last = cohort, seconds, time.monotonic()

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
        data = save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, metadata=_words(state))
        files.write(self.path, hashlib.sha256(data).digest() + data)
        self.last = time.monotonic()

    def resume(self) -> State | None:
        """Read the state back; None where there is none, or where it was damaged (said on stderr)."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            _say(f"{self.path} is damaged: these runs start over")
            return None
        words = _metadata(data[32:])
        tensors = {name: tensor.to(self.cohort.device) for name, tensor in load(data[32:]).items()}
        if tensors["flat"].shape != self.cohort.assembly.flat.shape:
            _say(f"{self.path} is of another version: these runs start over")
            return None
        return _state(tensors, words)

    def remove(self) -> None:
        """Remove the file: its runs have ended."""
        self.path.unlink(missing_ok=True)


def _words(state: State) -> dict[str, str]:
    losses = [{split: scored.loss for split, scored in splits.items()} for splits in state.scored]
    words = {
        "step": state.step,
        "tokens": state.tokens,
        "slots": state.slots,
        "histories": [asdict(history) for history in state.histories],
        "losses": losses,
    }
    return {"state": json.dumps(words)}


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata


def _state(tensors: dict[str, Tensor], metadata: dict[str, str]) -> State:
    words = json.loads(metadata["state"])
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


def _say(message: str) -> None:
    import sys

    print(message, file=sys.stderr)
