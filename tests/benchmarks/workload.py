"""What is timed: random token ids in sequences of the real tasks' lengths, on the real small model or bert-base's shapes."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peftcli.data.examples import Examples
from peftcli.engine import backbone as backbones
from peftcli.engine import training
from peftcli.engine.backbone import Backbone
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.engine.device import number_type, resolve_precision
from peftcli.experiment.plan import defaults
from peftcli.experiment.run import Run
from peftcli.experiment.settings import Training
from peftcli.models import published
from peftcli.strategies import registry

BATCH = 16
LENGTHS = json.loads((Path(__file__).parent / "lengths.json").read_text())  # training pairs by length, max_length 128
Step = Callable[[], None]
# Newer encoders, so small that much of a run's step alone is the calls of its operations.
_SIZES: dict[str, Any] = {
    "vocab_size": 30_000, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 256,
    "max_position_embeddings": 512,
}  # fmt: skip
TINY: dict[str, dict[str, Any]] = {
    "tiny deberta-v3": {**published.PUBLISHED_SIZES["microsoft/deberta-v3-base"], **_SIZES},
    "tiny modernbert": {"model_type": "modernbert", **_SIZES, "pad_token_id": 0, "local_attention": 16},
}


@cache
def examples(task: str) -> Examples:
    """Random ids in sequences of a task's real lengths (minilm's and bert-base-uncased's tokenizer), in random order."""
    source = np.random.default_rng(0)
    lengths = source.permutation(np.repeat([int(n) for n in LENGTHS[task]], list(LENGTHS[task].values())))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = source.integers(1000, 30000, starts[-1])
    labels: Any = source.uniform(0, 5, len(lengths)) if task == "stsb" else source.integers(0, 2, len(lengths))
    return Examples(ids, np.zeros_like(ids), starts, labels, np.arange(len(lengths)))


@cache
def backbone(model: str, device: torch.device) -> Backbone:
    """minilm with its weights, or others' shapes with random ones; in bf16 on a GPU that has it."""
    dtype = number_type(resolve_precision("auto", device))
    if model == "minilm":
        return backbones.load("minilm", True, dtype, device)
    from transformers import AutoConfig, AutoModel

    network = AutoModel.from_config(
        AutoConfig.for_model(**(TINY.get(model) or published.PUBLISHED_SIZES[model])), attn_implementation="eager"
    )
    pooler = getattr(network, "pooler", None) is not None
    return backbones.narrowed(backbones.adopt(network.to(device).eval(), pooler, frozenset()), dtype)


def cohort(
    task: str, strategy: str, device: torch.device, model: str, runs: int = 1, seeds: int = 1, **options: Any
) -> Cohort:
    """A cohort of runs with `runs / seeds` learning rates for each seed."""
    kind = "regression" if task == "stsb" else "pair"
    settings = Training.model_validate({**defaults(), "batch_size": BATCH, "steps": 1_000_000})
    made = [
        Run(
            model=model,
            task=task,
            strategy=strategy,
            options=registry.get(strategy).options(options),
            learning_rate=1e-4 * (1 + at // seeds),
            seed=at % seeds,
            protocol=settings,
        )
        for at in range(runs)
    ]
    data = Data(examples(task), {}, "validation", kind, () if task == "stsb" else ("0", "1"), ("accuracy",))
    loaded = backbone(model, device)
    return gather(made, [data] * runs, loaded, loaded.config, device)


def ours(own: Cohort) -> Step:
    """One training step of a cohort, its batch laid out from the examples."""
    state = training.begin(own)

    def step() -> None:
        training.advance(own, state)
        if len(state.pending) > 50:
            state.pending.clear()

    return step
