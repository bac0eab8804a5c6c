"""Adapters are those of the `adapters` library, its formulas written out here; on every family, in cohorts, with dropout."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftcli.engine.adapters import Adapter
from peftcli.engine.batches import build, chosen
from peftcli.engine.cohort import Cohort
from peftcli.engine.dropout import RunDropout
from peftcli.experiment.run import Run
from peftcli.models.reach import Reading
from tests import backbones, tiny
from tests.engine.test_training import stock_classifier, stock_name

Weights = dict[str, Tensor]
BERT_LIKE = ("bert", "roberta")
PLACEMENTS = ("houlsby", "pfeiffer")


def bottleneck(weights: Weights, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    thin = activation(F.linear(x, weights["adapter_down"], weights["adapter_down_bias"]))
    return F.linear(thin, weights["adapter_up"], weights["adapter_up_bias"])


def houlsby(output: Any, weights: Weights, y: Tensor, x: Tensor) -> Tensor:
    """The library's DoubleSeqBnConfig: y is what the dense layer and its dropout put out, x the residual."""
    result: Tensor = output.LayerNorm(y + bottleneck(weights, y, F.silu) + x)
    return result


def pfeiffer(output: Any, weights: Weights, y: Tensor, x: Tensor) -> Tensor:
    """The library's SeqBnConfig: the bottleneck reads the LayerNorm of the sum, its output is added to y, and all is normed."""
    result: Tensor = output.LayerNorm(y + bottleneck(weights, output.LayerNorm(y + x), F.relu) + x)
    return result


def before_dropout(output: Any, weights: Weights, dense: Tensor, x: Tensor) -> Tensor:
    """What earlier records hold: the bottleneck reads the dense layer's output itself, and dropout comes behind both."""
    result: Tensor = output.LayerNorm(output.dropout(dense + bottleneck(weights, dense, F.relu)) + x)
    return result


FORMULAS = {
    ("houlsby", "published"): houlsby,
    ("pfeiffer", "published"): pfeiffer,
    ("pfeiffer", "before_dropout"): before_dropout,
}


def run(placement: str, wiring: str = "published", rate: float = 2e-3, seed: int = 3, **training: Any) -> Run:
    options = {"placement": placement, "wiring": wiring, "size": 3, "up_deviation": 0.3}
    return tiny.run("adapter", rate, seed, options, epsilon=1e-6, **training)


def with_formula(model: Any, cohort: Cohort, formula: Callable[..., Tensor]) -> Weights:
    """Have a stock classifier's sub-layers put a formula's output out; returns the adapters' tensors, which train."""
    start = {name: value[0].clone() for name, value in cohort.assembly.values(cohort.assembly.flat).items()}
    adapters = {name: value.requires_grad_() for name, value in start.items() if "adapter_" in name}
    for module in cohort.assembly.tuning.insert:
        own = {name.rpartition(".")[2]: value for name, value in adapters.items() if name.startswith(f"{module}.")}
        output = model.base_model.get_submodule(module.rpartition(".")[0])

        def forward(hidden: Tensor, x: Tensor, output: Any = output, own: Weights = own) -> Tensor:
            dense = output.dense(hidden)
            return formula(output, own, dense if formula is before_dropout else output.dropout(dense), x)

        output.forward = forward
    return adapters


@pytest.mark.parametrize(("placement", "wiring"), FORMULAS)
@pytest.mark.parametrize("model_type", BERT_LIKE)
def test_training_equals_a_plain_loop_with_the_library_s_formulas(model_type: str, placement: str, wiring: str) -> None:
    steps = 20
    settings = {"weight_decay": 0.01, "max_grad_norm": None, "dropout": 0.0, "steps": steps}
    of_ours = run(placement, wiring, schedule="constant", warmup_ratio=0.0, **settings)
    cohort = tiny.cohort(tiny.backbone(model_type), [of_ours])
    model = stock_classifier(model_type, cohort.assembly.start)
    adapters = with_formula(model, cohort, FORMULAS[placement, wiring])
    assert len(adapters) == 4 * 3 * (2 if placement == "houlsby" else 1)
    head = {stock_name(model_type, p.name): p.name for p in cohort.network.anatomy.head}
    trained = {head[name]: p for name, p in model.named_parameters() if name in head} | adapters
    biases = [name for name in trained if name.endswith("bias")]
    groups = [
        {"params": [p for name, p in trained.items() if name not in biases], "weight_decay": 0.01},
        {"params": [trained[name] for name in biases], "weight_decay": 0.0},
    ]
    optimizer, examples = torch.optim.AdamW(groups, lr=of_ours.learning_rate, eps=1e-6), cohort.data[0].train
    losses = []
    for step in range(steps):
        picked = chosen(of_ours.seed, step, len(examples), of_ours.protocol.batch_size)
        batch = backbones.padded_inputs(model, examples, picked)
        loss = model(**batch, labels=torch.tensor(examples.labels[picked])).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    state = tiny.trained(cohort)
    ours = cohort.assembly.values(state.flat.detach())
    assert ours.keys() == trained.keys()
    for name, value in trained.items():
        torch.testing.assert_close(ours[name][0], value.detach(), rtol=0, atol=1e-9, msg=name)
    assert state.histories[0].training[-1]["loss"] == pytest.approx(losses[-1], abs=1e-9)


def test_the_two_wirings_differ() -> None:
    logits = [
        cohort.forward(cohort.assembly.flat, 0)(build([(cohort.data[0].train, np.arange(8))], Reading(), cohort.device))
        for cohort in (
            tiny.cohort(tiny.backbone("bert"), [run("pfeiffer", wiring)]) for wiring in ("published", "before_dropout")
        )
    ]
    assert float((logits[0] - logits[1]).abs().max()) > 1e-6


def seen(cohort: Cohort, layer: str) -> dict[str, tuple[Tensor, Tensor]]:
    """What the modules of a layer's output took in and put out at a training step, dropout's own output beside an adapter's."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def hook(name: str) -> Callable[..., None]:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
            found[name] = inputs[0].detach()[0], result.detach()[0]
            if isinstance(module, RunDropout):
                found["dropped"] = inputs[0].detach()[0], RunDropout.forward(module, inputs[0]).detach()[0]

        return note

    output = cohort.network.backbone.get_submodule(layer)
    modules = {name: output.get_submodule(name) for name in ("dense", "dropout", "LayerNorm")}
    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    cohort.loss(cohort.assembly.flat, 0, cohort.batch(0))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(("placement", "wiring"), FORMULAS)
def test_dropout_comes_where_the_library_has_it(placement: str, wiring: str) -> None:
    layer = "encoder.layer.1.output"
    cohort = tiny.cohort(tiny.backbone("bert"), [run(placement, wiring, dropout=0.5)])
    found = seen(cohort, layer)
    values = cohort.assembly.values(cohort.assembly.flat)
    own = {n.rpartition(".")[2]: v[0].detach() for n, v in values.items() if n.startswith(layer) and "adapter_" in n}
    norm: Any = nn.LayerNorm(16, 1e-12).double()
    for kind in ("weight", "bias"):
        setattr(norm, kind, nn.Parameter(cohort.network.weights[f"{layer}.LayerNorm.{kind}"]))
    dense, dropped = found["dropped"]
    y = dropped if wiring == "published" else dense
    assert 0.3 < float((dropped == 0).double().mean()) < 0.7
    if placement == "houlsby":
        assert_same(found["dropout"][1], y + bottleneck(own, y, F.silu))
    elif wiring == "before_dropout":
        weight, bias = (cohort.network.weights[f"{layer}.dense.{kind}"] for kind in ("weight", "bias"))
        raw = F.linear(found["dense"][0], weight, bias)
        assert_same(dense, raw + bottleneck(own, raw, F.relu))
    else:
        total = found["LayerNorm"][0]  # x + y
        assert_same(found["LayerNorm"][1], norm(total + bottleneck(own, norm(total), F.relu)))


def assert_same(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected.detach(), rtol=0, atol=1e-9)


FAMILIES = ("distilbert", "albert", "electra, narrow embeddings", "deberta-v3", "modernbert, mean, biases")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("placement", "wiring"), [*FORMULAS, ("houlsby", "before_dropout")])
def test_a_cohort_of_any_family_equals_its_runs_alone(family: str, placement: str, wiring: str) -> None:
    model = backbones.backbone(backbones.classifier(family))
    runs = [run(placement, wiring, rate, seed, steps=4, dropout=0.1) for rate, seed in ((1e-3, 0), (3e-3, 1))]
    together = tiny.cohort(model, runs)
    layers = together.network.anatomy.layers
    assert sum(isinstance(m, Adapter) for m in together.network.modules()) == layers * (
        2 if placement == "houlsby" else 1
    )
    tiny.assert_as_alone(together, lambda one: tiny.cohort(model, [one]), backbones.TOLERANCE[family])


def test_where_no_layernorm_is_behind_pfeiffer_s_reads_the_sum_itself() -> None:
    model = backbones.backbone(backbones.classifier("modernbert, mean, biases"))
    cohort = tiny.cohort(model, [run("pfeiffer")])
    found: list[Tensor] = []
    layer = cohort.network.backbone.get_submodule("layers.1")
    plain = type(layer).__mro__[2]
    layer.register_forward_hook(
        lambda module, inputs, named, result: found.extend([plain.forward(module, *inputs, **named)[0], result[0]]),
        with_kwargs=True,
    )
    cohort.forward(cohort.assembly.flat, 0)(cohort.batch(0))
    values = cohort.assembly.values(cohort.assembly.flat)
    own = {n.rpartition(".")[2]: v[0] for n, v in values.items() if n.startswith("layers.1.adapter_")}
    torch.testing.assert_close(found[1], found[0] + bottleneck(own, found[0], F.relu), rtol=0, atol=1e-9)
    assert not torch.equal(*found)


def test_up_projections_start_from_a_normal_distribution_and_down_as_the_model_s_own_weights() -> None:
    model = tiny.backbone("bert", hidden_size=64, intermediate_size=256, initializer_range=0.05)
    options = {"placement": "pfeiffer", "size": 32}
    cohort = tiny.cohort(model, [tiny.run("adapter", seed=seed, options=options) for seed in (0, 1)])
    by_kind: dict[str, list[Tensor]] = {}
    for name, value in cohort.assembly.values(cohort.assembly.flat).items():
        by_kind.setdefault(name.rpartition(".")[2], []).append(value.flatten(1))
    for kind, deviation in (("adapter_up", 0.02), ("adapter_down", 0.05)):
        drawn = torch.cat(by_kind[kind], 1)
        assert drawn.shape == (2, 3 * 32 * 64)
        assert float((drawn.std(1) / deviation - 1).abs().max()) < 4 / (2 * drawn.shape[1]) ** 0.5
        assert float(drawn.mean(1).abs().max()) < 4 * deviation / drawn.shape[1] ** 0.5
        assert not torch.equal(*drawn)
        assert float(drawn.abs().max()) > 3 * deviation  # not cut off, as Houlsby et al.'s own are
    assert not any(bool(bias.any()) for kind in ("adapter_up_bias", "adapter_down_bias") for bias in by_kind[kind])
