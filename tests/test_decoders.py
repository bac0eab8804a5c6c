"""Decoders from end to end: stock transformers' logits on either side's padding, a plain loop's steps, masks to the bit."""

from typing import Any

import numpy as np
import pytest
import torch

from peftcli.engine.batches import chosen
from peftcli.errors import UserError
from peftcli.models.decoders import DECODERS
from peftcli.strategies import STRATEGIES
from tests import backbones, tiny
from tests.crosses import crossed

NAMES = [name for name, (family, _) in backbones.CONFIGS.items() if family in DECODERS]
# Fifty steps through the stock models' own code take ten seconds each.
PLAIN = [("gpt2", "full"), ("llama", "layernorm"), ("gemma3_text", "full")]
WHOLE = [
    pytest.param(name, strategy, marks=pytest.mark.whole)
    for name in NAMES
    for strategy in ("full", "layernorm")
    if (name, strategy) not in PLAIN
]
# What finds nothing to train in a family, and what it says.
REFUSED = {
    ("bitfit", "no bias"): ("llama", "mistral", "qwen3", "gemma3_text"),
    ("initbias_bitfit", "no bias"): ("llama", "mistral", "qwen3", "gemma3_text"),
    ("reinit_bitfit", "no bias"): ("llama", "mistral", "qwen3", "gemma3_text"),
    ("spafit", "no bias"): ("llama", "mistral", "qwen2", "qwen2, windows", "qwen3", "gemma3_text"),
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_stock_model_s(name: str, dtype: torch.dtype, tolerance: float, side: str) -> None:
    """In float32 as it is, in float64 where its steps in float32 keep the precision."""
    model = backbones.classifier(name, dtype=dtype)
    network = backbones.network(model)
    parts, batch = backbones.batches(network)
    head = {n: t[None] for n, t in backbones.head_tensors(name, model).items()}
    logits = network.call(head, {}, batch)
    for run, (examples, picked) in enumerate(parts):
        theirs = model(**backbones.padded_inputs(model, examples, picked, side)).logits
        torch.testing.assert_close(logits[run, : len(picked)], theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "strategy"), [*PLAIN, *WHOLE])
def test_fifty_steps_equal_a_plain_loop(name: str, strategy: str) -> None:
    model: Any = backbones.classifier(name, labels=2)
    names = {f"{model.base_model_prefix}.{n}": n for n, _ in model.base_model.named_parameters()}
    run = tiny.run(strategy, 2e-3, 3, steps=50, dropout=0.0, weight_decay=0.01, epsilon=1e-6, schedule="constant",
                   warmup_ratio=0.0)  # fmt: skip
    cohort = tiny.cohort(backbones.backbone(model), [run])
    trainable = {p.name for p in cohort.assembly.pieces}
    model.score.weight.data = cohort.assembly.start["head.out.weight"].reshape(model.score.weight.shape).clone()
    for theirs, parameter in model.named_parameters():
        parameter.requires_grad_(names.get(theirs, "head.out.weight") in trainable)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    losses, examples = [], cohort.data[0].train
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in parameters if (p.ndim > 1) is decays], "weight_decay": 0.01 * decays}
              for decays in (True, False)]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=2e-3, eps=1e-6)
    for step in range(50):
        picked = chosen(3, step, len(examples), run.protocol.batch_size)
        logits = model(**backbones.padded_inputs(model, examples, picked)).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(examples.labels[picked]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    state = tiny.trained(cohort)
    ours = cohort.assembly.values(state.flat.detach())
    for theirs, parameter in model.named_parameters():
        if parameter.requires_grad:
            own = names.get(theirs, "head.out.weight")
            torch.testing.assert_close(ours[own][0], parameter.detach(), rtol=0, atol=1e-9, msg=own)
    assert state.histories[0].training[-1]["loss"] == pytest.approx(losses[-1], abs=1e-9)


@pytest.mark.parametrize(
    ("name", "dropout", "strategy"), crossed(list(DECODERS), [0.1, 0.0], ["full", "layernorm", "random", "lora"])
)
def test_a_cohort_of_four_equals_its_runs_alone(name: str, dropout: float, strategy: str) -> None:
    model = backbones.backbone(backbones.classifier(name))
    runs = [
        tiny.run(strategy, rate, seed, steps=5, dropout=dropout, epsilon=1e-6)
        for rate, seed in [(1e-3, 0), (3e-3, 0), (5e-4, 1), (1e-3, 2)]
    ]
    tiny.assert_as_alone(tiny.cohort(model, runs), lambda one: tiny.cohort(model, [one]))


def refusal(strategy: str, name: str) -> str | None:
    return next((said for (refused, said), names in REFUSED.items() if refused == strategy and name in names), None)


@pytest.mark.parametrize(
    ("strategy", "name", "kind"), crossed([s for s in sorted(STRATEGIES) if s != "peft"], NAMES, tiny.KINDS)
)
def test_every_strategy_takes_steps_and_nothing_else_moves(strategy: str, name: str, kind: str) -> None:
    model = backbones.backbone(backbones.classifier(name), kind)
    run = tiny.run(strategy, 5e-3, steps=4, optimizer="adamw", weight_decay=0.1, weight_decay_spares="nothing")
    if said := refusal(strategy, name):
        with pytest.raises(UserError, match=said):
            tiny.cohort(model, [run], kind)
        return
    loaded = {n: t.clone() for n, t in model.weights.items()}
    cohort = tiny.cohort(model, [run], kind)
    assembly = cohort.assembly
    before = {n: value[0].clone() for n, value in assembly.effective(assembly.flat).items()}
    after = assembly.effective(tiny.trained(cohort).flat.detach())
    for tensor, value in before.items():
        moved = (after[tensor][0] != value).reshape(-1).nonzero()[:, 0]
        if tensor in assembly.index:
            assert set(moved.tolist()) <= set(assembly.index[tensor][0].tolist()), tensor
    for tensor, value in cohort.network.weights.items():
        if tensor not in after:
            assert torch.equal(value, loaded[tensor]), tensor
    assert strategy == "frozen" or any(not torch.equal(after[n][0], v) for n, v in before.items() if "head." not in n)


def test_a_token_sees_nothing_behind_it_and_a_sequence_s_last_one_is_read() -> None:
    for name in NAMES:
        model = backbones.classifier(name)
        network = backbones.network(model)
        parts, batch = backbones.batches(network)
        hidden = network.encode(batch.stream)
        starts = np.concatenate([[0], np.cumsum(parts[0][0].lengths[parts[0][1]])])
        assert batch.read_positions[0].tolist() == (starts[1:] - 1).tolist()
        ids = batch.stream.ids.clone()
        ids[0, starts[1] - 1] = (ids[0, starts[1] - 1] + 1) % 50 + 3
        object.__setattr__(batch.stream, "ids", ids)
        moved = (network.encode(batch.stream)[0] != hidden[0]).any(-1).nonzero()[:, 0]
        assert moved.tolist() == [starts[1] - 1], name
