"""The whole life of a small cohort on a device: gathered, trained, stopped, resumed, evaluated, a delta written and restored."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from peftcli.deltas import file as deltas
from peftcli.deltas.restoring import restore
from peftcli.engine import backbone as backbones
from peftcli.engine import training
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.engine.evaluation import score
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.models import catalogue, heads
from peftcli.runner.checkpoints import Checkpoints
from peftcli.tasks import metrics
from tests import tiny
from tests.backbones import classifier

TASKS = {"pair": "rte", "regression": "stsb", "choice": "copa", "span": "wsc", "token": "conll2003"}
STEPS = 3


@dataclass(frozen=True)
class Case:
    """What a cohort is of: `family` is one of `tests/backbones.CONFIGS`, `precision` what its backbone computes in."""

    strategy: str
    runs: int
    kind: str
    family: str
    precision: str = "float32"
    options: dict[str, Any] | None = None

    @property
    def members(self) -> list[Run]:
        """The runs: seeds and learning rates differ. Every kind of thing that happens in a run happens in three updates."""
        settings = {"steps": STEPS, "evaluate_every": "2 steps", "restore_best": True, "dropout": 0.1, "batch_size": 3}
        settings |= {"weight_decay": 0.01}
        return [
            tiny.run(
                self.strategy, 1e-3 * (1 + seed), seed, self._options(), precision=self.precision, **settings
            ).model_copy(update={"task": TASKS[self.kind]})
            for seed in range(self.runs)
        ]

    def _options(self) -> dict[str, Any] | None:
        if self.strategy != "peft":
            return self.options
        options = {"type": "IA3", "feedforward_modules": []} if self.options is None else self.options
        module = {
            "distilbert": "q_lin",
            "deberta": "query_proj",
            "modernbert": "Wqkv",
            "llama": "q_proj",
            "gemma": "q_proj",
        }
        target = next((name for family, name in module.items() if self.family.startswith(family)), "query")
        return {**options, "target_modules": [target]}


def save_model(case: Case, folder: Path) -> Path:
    """Write a case's small random model, if it is not there yet: of one layer, or as many as the strategy or sharing needs."""
    least = 4 if "groups" in case.family else 2 if case.family.startswith(("albert", "modernbert")) else 1
    layers = max(least, 3 if case.strategy == "spafit" else 1)
    target = folder / f"{case.family.replace(', ', '-').replace(' ', '-')}-{layers}"
    if not target.exists():
        number = "n_layers" if case.family == "distilbert" else "num_hidden_layers"
        # Without dropout attention is another kernel on a processor, which rounds otherwise than what a device computes.
        drops = {"attention_dropout": 0.1} if case.family.startswith("modernbert") else {}
        classifier(case.family, dtype=torch.float32, **{number: layers}, **drops).base_model.save_pretrained(target)
    return target


def live(case: Case, model: Path, output: Path, device: torch.device) -> dict[str, Any]:
    """Everything that a cohort leaves, by name, on the processor; where it is refused, the refusal alone."""
    try:
        cohort = _gathered(case, model, device)
    except UserError as error:
        return {"refused": str(error)}
    # Metrics are of outputs that are on the processor by then, and are compared here as they are.
    with mock.patch.object(metrics, "compute", _in_the_place_of_metrics):
        state = _trained(cohort, output)
    left: dict[str, Any] = {"values": state.flat.detach().cpu().numpy()}
    for row, (history, scored) in enumerate(zip(state.histories, state.scored, strict=True)):
        left[f"history {row}"] = history
        left |= {f"{split} {row}": of_split.logits for split, of_split in scored.items()}
    last = len(cohort.runs) - 1
    moved = deltas.moved(cohort, deltas.weights(cohort, state), last)
    written = deltas.write(output / "run.json", cohort, moved, last, "data", "tokenizer")
    delta = deltas.read(written)
    left |= {f"delta {name}": tensor.float().numpy() for name, tensor in delta.tensors.items()}
    restored = restore(delta, str(model), len(cohort.runs), device)
    splits = [data.evaluation["validation"] for data in cohort.data]
    network = restored.network
    outputs = score(restored.forward(), splits, case.kind, network.reading, device, network.lookups)
    left["restored"] = outputs[last].logits
    left |= {f"weight {name}": tensor.float().numpy() for name, tensor in restored.weights().items()}
    return left


def _in_the_place_of_metrics(names: Sequence[str], predictions: np.ndarray, *_: Any) -> dict[str, float]:
    return dict.fromkeys(names, float(predictions.sum()))


def _gathered(case: Case, model: Path, device: torch.device) -> Cohort:
    members = case.members
    pooler = heads.uses_pooler(catalogue.config(str(model)), case.kind, "stock")
    loaded = backbones.load(str(model), pooler, getattr(torch, case.precision), device)
    data = tiny.data(case.kind)
    splits = {**data.evaluation, "test": tiny.examples(case.kind, 5, seed=3)}
    own = Data(data.train, splits, "validation", case.kind, data.labels, data.metrics)
    return gather(members, [own] * len(members), loaded, loaded.config, device)


def _trained(cohort: Cohort, output: Path) -> State:
    """Train to the end, stopped after the second update and resumed from its checkpoint."""
    checkpoints = Checkpoints(output, cohort, 0.0)
    for state in training.train(cohort, training.begin(cohort)):
        if state.step == STEPS - 1:
            checkpoints.save(state)
            break
    resumed = checkpoints.resume()
    assert resumed is not None
    for _ in training.train(cohort, resumed):
        pass
    checkpoints.remove()
    return resumed


def differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """What two cohorts left that is not the same to the last bit."""
    if here.keys() != there.keys():
        return sorted(here.keys() ^ there.keys())
    return [name for name in here if not same(here[name], there[name])]


def same(here: Any, there: Any) -> bool:
    """Whether two arrays, or two histories, are the same to the last bit."""
    if isinstance(here, np.ndarray):
        return bool(np.array_equal(here, there, equal_nan=True))
    return bool(here == there)
