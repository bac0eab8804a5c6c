"""Tiny random models and tasks that the tests build themselves."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from peftcli.data.examples import Examples
from peftcli.engine import backbone as backbones
from peftcli.engine import training
from peftcli.engine.backbone import Backbone
from peftcli.engine.batches import build
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.engine.training import State
from peftcli.experiment.plan import defaults
from peftcli.experiment.run import Run
from peftcli.experiment.settings import Training
from peftcli.strategies import registry

SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "attn_implementation": "eager",
}
KINDS = ("pair", "regression", "choice", "span", "token")
OPTIONS: dict[str, dict[str, Any]] = {
    "layernorm_outlier": {"n": 5},
    "layernorm_random": {"n": 5},
    "random": {"share": 0.05},
    "magpruning": {"share": 0.05},
    "childpruning": {"share": 0.05},
    "diffpruning": {"share": 0.05, "burn_in": 4},
    "mixout": {"share": 0.3},
    "sam": {"share": 0.05},
    "gradient": {"share": 0.05, "batches": 2},
    "lora": {"rank": 2, "alpha": 4.0},
    "adapter": {"size": 3},
    "peft": {"type": "IA3"},
    "spafit": {"groups": [0, 1], "rank": 2, "alpha": 4.0},
}


def stock(model_type: str, dtype: torch.dtype = torch.float64, **sizes: Any) -> torch.nn.Module:
    """A random stock model of transformers, with its pooler."""
    from transformers import AutoConfig, AutoModel

    extra = {"type_vocab_size": 2} if model_type == "bert" else {"type_vocab_size": 1, "pad_token_id": 1}
    config = AutoConfig.for_model(model_type, **{**SIZES, **extra, **sizes})
    torch.manual_seed(7)
    model = AutoModel.from_config(config).to(dtype).eval()
    for parameter in model.parameters():  # biases and gains away from 0 and 1, so that each matters
        if parameter.ndim == 1:
            with torch.no_grad():
                parameter.add_(torch.randn(parameter.shape, dtype=dtype) * 0.1)
    return model


def backbone(model_type: str, pooler: bool | None = None, dtype: torch.dtype = torch.float64, **sizes: Any) -> Backbone:
    """The same random model as a backbone."""
    pooler = model_type == "bert" if pooler is None else pooler
    return backbones.adopt(stock(model_type, dtype, **sizes), pooler, frozenset())


def examples(kind: str, count: int = 12, seed: int = 0, longest: int = 11) -> Examples:
    """Random tokenised examples of a task kind."""
    source = np.random.default_rng(seed)
    group = 2 if kind == "choice" else 1
    lengths = source.integers(6, longest + 1, count * group)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = source.integers(3, 61, starts[-1])
    types = np.zeros_like(ids)
    labels: Any = source.integers(0, 2, count)
    made = Examples(ids, types, starts, labels, np.arange(count), group)
    if kind == "regression":
        return replace(made, labels=source.uniform(0, 5, count))
    if kind == "span":
        first = source.integers(1, 3, (count, 2))
        return replace(made, spans=np.stack([first, first + source.integers(1, 3, (count, 2))], -1))
    if kind == "token":
        words = lengths - 2
        word_starts = np.concatenate([[0], np.cumsum(words)])
        places = np.concatenate([np.arange(1, n + 1) for n in words])
        return replace(made, words=places, word_starts=word_starts, labels=source.integers(0, 3, word_starts[-1]))
    return made


def without_words(split: Examples, bare: Sequence[int]) -> Examples:
    """A token task's split of which these examples have no word that is read."""
    assert split.word_starts is not None
    assert split.words is not None
    counts = np.diff(split.word_starts)
    kept = np.repeat(~np.isin(np.arange(len(split)), bare), counts)
    counts[list(bare)] = 0
    starts = np.concatenate([[0], np.cumsum(counts)])
    return replace(split, words=split.words[kept], labels=split.labels[kept], word_starts=starts)


def data(kind: str, count: int = 12, seed: int = 0) -> Data:
    """A task's data: random examples to train on, others to evaluate on."""
    labels = {"token": ("O", "B-X", "I-X"), "regression": ()}.get(kind, ("no", "yes"))
    metrics = {"regression": ("pearson",), "token": ("entity_f1", "accuracy")}.get(kind, ("accuracy",))
    train, validation = examples(kind, count, seed), examples(kind, 9, seed + 1)
    return Data(train, {"validation": validation}, "validation", kind, labels, metrics)


def run(
    strategy: str, learning_rate: float = 1e-3, seed: int = 0, options: dict[str, Any] | None = None, **training: Any
) -> Run:
    """A run of a strategy with the tests' options; keywords are training settings."""
    given = OPTIONS.get(strategy, {}) if options is None else options
    settings = Training.model_validate({**defaults(), "batch_size": 4, "steps": 20, **training})
    return Run(
        model="tiny", task="tiny", strategy=strategy, options=registry.get(strategy).options(given),
        learning_rate=learning_rate, seed=seed, protocol=settings,
    )  # fmt: skip


def cohort(model: Backbone, runs: list[Run], kind: str = "pair", own: Data | None = None) -> Cohort:
    """A cohort of runs on a tiny model."""
    found = own or data(kind)
    return gather(runs, [found] * len(runs), model, model.config, torch.device("cpu"))


def trained(cohort: Cohort) -> State:
    """The state of a cohort trained to its end."""
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        pass
    return state


def assert_as_alone(together: Cohort, alone: Callable[[Run], Cohort], tolerance: float = 1e-9) -> None:
    """Train a cohort, and each of its runs in a cohort of its own: every effective weight must end the same."""
    ends = together.assembly.effective(trained(together).flat.detach())
    for row, one in enumerate(together.runs):
        cohort = alone(one)
        for name, value in cohort.assembly.effective(trained(cohort).flat.detach()).items():
            torch.testing.assert_close(ends[name][row], value[0], rtol=0, atol=tolerance, msg=name)


def inputs(network, kind="pair"):
    """Two runs' parts, their batch, and a head of random values for each, the same at every call."""
    parts = [(examples(kind, 12, 0), np.array([3, 0, 7, 5])), (examples(kind, 12, 5, 17), np.array([1, 2]))]
    batch = build(parts, network.reading, torch.device("cpu"))
    torch.manual_seed(1)
    head = {p.name: torch.randn(2, *p.shape, dtype=torch.float64) for p in network.anatomy.head}
    return parts, batch, head
