"""Blocks computed again in the backward pass: the same gradients to the bit, whatever trains, and fewer bytes kept for it."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from peftcli.engine import training
from peftcli.engine.backbone import Backbone
from peftcli.engine.cohort import Cohort
from peftcli.engine.dry_run import LiveBytes
from tests import backbones, tiny
from tests.crosses import crossed

STRATEGIES = ["layernorm", "random", "lora", "full", "adapter", "mixout", "diffpruning", "sam", "bitfit"]


def cohort(model: Backbone, strategy: str, runs: int, kind: str = "pair", **settings: Any) -> Cohort:
    settings = {"dropout": 0.1, **settings}
    options = settings.pop("options", None)
    chosen = [tiny.run(strategy, rate, seed, options, **settings) for rate, seed in ((1e-3, 0), (3e-3, 0), (1e-3, 1))]
    return tiny.cohort(model, chosen[:runs], kind)


def gradients(cohort: Cohort) -> list[torch.Tensor]:
    """The gradients of three steps, [runs, n] each, and the last step's losses."""
    state, found = training.begin(cohort), []
    for step in range(3):
        loss = cohort.loss(state.flat, step, cohort.batch(step))
        found += [*torch.autograd.grad(loss.total.sum(), state.flat), loss.total.detach()]
        training.advance(cohort, state)
    return found


def assert_same_bits(model: Backbone, strategy: str, runs: int, kind: str = "pair", **settings: Any) -> None:
    kept, again = (
        cohort(model, strategy, runs, kind, checkpoint_activations=switch, **settings) for switch in (False, True)
    )
    assert kept.sites  # dropout is on
    assert [type(again.network.get_submodule(name)).__name__[:10] for name in again.network.blocks] == [
        "Recomputed" for _ in again.network.blocks
    ]
    for first, second in zip(gradients(kept), gradients(again), strict=True):
        assert bool(first.any())
        assert torch.equal(first, second)
    assert torch.equal(tiny.trained(kept).flat, tiny.trained(again).flat)


@pytest.mark.parametrize(("strategy", "runs", "dtype"), crossed(STRATEGIES, [3, 1], [torch.float64, torch.float32]))
def test_gradients_are_the_same_bits(strategy: str, runs: int, dtype: torch.dtype) -> None:
    """Frozen embeddings, replaced frozen weights (mixout, diffpruning) and a weight that is written to (random alone) too."""
    assert_same_bits(tiny.backbone("bert", dtype=dtype), strategy, runs, steps=6)


@pytest.mark.parametrize(
    ("name", "strategy", "runs"), crossed(list(backbones.CONFIGS), ["full", "layernorm", "random"], [3, 1])
)
def test_they_are_in_every_family(name: str, strategy: str, runs: int) -> None:
    assert_same_bits(backbones.backbone(backbones.classifier(name)), strategy, runs, steps=4)


@pytest.mark.parametrize("method", [{"type": "LORA", "r": 2, "lora_dropout": 0.2}, {"type": "IA3"}])
def test_they_are_with_modules_of_another_library(method: dict[str, Any]) -> None:
    assert_same_bits(tiny.backbone("bert"), "peft", 2, steps=4, options=method)


@pytest.mark.parametrize("layers", [[1], [2], [3]])
def test_a_block_below_what_trains_has_no_gradient_and_one_above_passes_it_on(layers: list[int]) -> None:
    assert_same_bits(tiny.backbone("roberta"), "layernorm", 3, "token", steps=4, options={"layers": layers})


def test_the_backbone_that_other_cohorts_share_stays_as_it_was() -> None:
    model = tiny.backbone("bert")
    cohort(model, "layernorm", 1, checkpoint_activations=True)
    assert not [module for module in model.network.modules() if type(module).__name__.startswith("Recomputed")]


def wide(layers: int, **settings: Any) -> Cohort:
    """Two runs on sequences of 30 tokens and more, so that activations are most of what there is."""
    model = tiny.backbone("bert", dtype=torch.float32, num_hidden_layers=layers, hidden_size=64, intermediate_size=256)
    runs = [tiny.run("layernorm", 1e-3, seed, batch_size=16, dropout=0.1, **settings) for seed in (0, 1)]
    data = replace(tiny.data("pair"), train=tiny.examples("pair", 16, longest=38))
    return tiny.cohort(model, runs, own=data)


def peak(**settings: Any) -> int:
    """The most bytes that a step of eight layers holds beside the cohort itself."""
    made = wide(8, **settings)
    with LiveBytes("cpu") as memory:
        state = training.begin(made)
        memory.hold(made)
        training.advance(made, state)  # Adam's first temporaries come and go
        before, memory.peak = memory.live, memory.live
        training.advance(made, state)
    return memory.peak - before


def test_a_step_holds_less_in_parts_and_less_where_blocks_are_computed_again() -> None:
    whole = peak()
    parts, again, both = (
        peak(accumulate=4),
        peak(checkpoint_activations=True),
        peak(accumulate=4, checkpoint_activations=True),
    )
    assert parts < 0.3 * whole
    assert again < 0.3 * whole
    assert both < 0.1 * whole


def saved(cohort: Cohort) -> list[int]:
    """The bytes beside the trained values that autograd saves for the backward pass in each part of a step, each counted once."""
    state, found = training.begin(cohort), []
    for batch in cohort.batches(0):
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor, storages: dict[int, int] = storages) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = cohort.loss(state.flat, 0, batch)
        found.append(sum(storages.values()) - storages.get(state.flat.untyped_storage().data_ptr(), 0))
        del loss
    return found


def test_autograd_saves_what_goes_into_a_block_alone_and_of_a_batch_one_part() -> None:
    (whole,), parts = saved(wide(4)), saved(wide(4, accumulate=4))
    again, deeper = (saved(wide(layers, checkpoint_activations=True))[0] for layers in (4, 8))
    assert len(parts) == 4
    assert max(parts) < 0.35 * whole
    assert again < 0.06 * whole
    hidden = 4 * 64 * wide(1).batch(0).stream.ids.numel()  # bytes of a hidden state of both runs
    assert deeper - again == 4 * hidden
