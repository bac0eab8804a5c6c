"""Cohorts of a published model's size, for counting on the pretend GPU by shapes alone."""

from typing import Any

import numpy as np
import torch

from peftcli.data.examples import Examples
from peftcli.engine import backbone as backbones
from peftcli.engine.backbone import Backbone
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.models.published import PUBLISHED_SIZES
from tests import tiny


def backbone(model: str, device: torch.device, dtype: torch.dtype = torch.bfloat16, **changes: Any) -> Backbone:
    """A model of published sizes (or `changes` to them) on a device, computing in `dtype`; its weights are random."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(**PUBLISHED_SIZES[model] | changes)
    with torch.device("meta"):  # no weights are drawn
        network = AutoModel.from_config(config, attn_implementation="eager").eval()
    network = network.to(device)
    return backbones.narrowed(backbones.adopt(network, True, frozenset(), model), dtype)


def examples(vocabulary: int, count: int = 64, shortest: int = 4, longest: int = 8) -> Examples:
    """Random pairs, tokenised; the kernels of a step do not depend on how long they are, its memory does."""
    source = np.random.default_rng(0)
    starts = np.concatenate([[0], np.cumsum(source.integers(shortest, longest + 1, count))])
    ids = source.integers(0, vocabulary, starts[-1])
    return Examples(ids, np.zeros_like(ids), starts, source.integers(0, 2, count), np.arange(count))


def cohort(
    model: Backbone, strategy: str, device: torch.device, runs: int = 1, batch_size: int = 16,
    sequences: Examples | None = None, options: dict[str, Any] | None = None, **settings: Any,
) -> Cohort:  # fmt: skip
    """A cohort on it, of runs that differ in their seeds; training settings are the defaults of a recipe."""
    split = sequences or examples(int(model.config["vocab_size"]))
    data = Data(split, {"validation": split}, "validation", "pair", ("no", "yes"), ("accuracy",))
    of_seeds = [
        tiny.run(strategy, 1e-4, seed, options or {}, batch_size=batch_size, steps=1000, **settings)
        for seed in range(runs)
    ]
    return gather(of_seeds, [data] * runs, model, model.config, device)
