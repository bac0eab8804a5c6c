"""DeBERTa on streams: what a padded grid of one run gives, to the same dropout; neighbours' lengths change nothing."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from peftcli.engine import padded, relative
from peftcli.engine.batches import Batch, build
from peftcli.engine.network import Network
from tests import backbones, tiny

CPU = torch.device("cpu")
FAMILIES = [name for name in backbones.CONFIGS if name.startswith("deberta")]
STEP_KEYS = torch.tensor([7, 90], dtype=torch.int32)


def on_both(name: str, **more: Any) -> tuple[torch.nn.Module, Network, Network]:
    """A stock classifier, our network on streams, and the same one on padded grids, one run after another."""
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout"), 0.1)
    model = backbones.classifier(name, **rates, **more)
    stream = backbones.network(model)
    grid = copy.deepcopy(stream)
    relative.run_on_grids(grid.backbone)
    grid.stream = False
    grid.backbone.config._attn_implementation = padded.ATTENTION
    return model, stream, grid


def tensors(name: str, model: torch.nn.Module, network: Network, runs: int = 2) -> dict[str, Tensor]:
    """Every tensor, each run's a little apart from the others'."""
    own = {**network.weights, **backbones.head_tensors(name, model)}
    scales = [1 + 0.1 * run for run in range(runs)]
    return {n: torch.stack([t.detach() * scale for scale in scales]).requires_grad_() for n, t in own.items()}


def noise_of(network: Network, keys: Tensor, batch: Batch) -> dict[str, Tensor]:
    return network.noise(list(network.dropouts()), keys, batch)[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_draws_on_a_stream_what_it_draws_on_its_own_padded_grid(name: str) -> None:
    model, *networks = on_both(name)
    _, batch = backbones.batches(networks[0], typed=True)
    leaves = tensors(name, model, networks[0])
    results = []
    for network in networks:
        logits = network.call(leaves, noise_of(network, STEP_KEYS, batch), batch)[batch.present.bool()]
        results.append([logits, *torch.autograd.grad(logits.square().sum(), [*leaves.values()], allow_unused=True)])
    without = networks[0].call(leaves, {}, batch)[batch.present.bool()]
    assert (results[0][0] - without).abs().max() > 1e-3
    for part, ours, theirs in zip(["logits", *leaves], *results, strict=True):
        assert (ours is None) == (theirs is None), part
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9, msg=part)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_that_drops_matters(name: str) -> None:
    model, network, _ = on_both(name)
    _, batch = backbones.batches(network)
    leaves = tensors(name, model, network)
    every = noise_of(network, STEP_KEYS, batch)
    plain = network.call(leaves, {}, batch)
    for site in every:
        assert not torch.equal(network.call(leaves, {site: every[site]}, batch), plain), site
    assert any("pos_dropout" in site for site in every) == bool(network.config["relative_attention"])
    assert any("conv" in site for site in every) == ("convolution" in name)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_neighbour_with_longer_sequences_changes_nothing(name: str) -> None:
    """The second run's sequences are longer: it makes the grid wider, and more relative positions are looked up."""
    model, network, _ = on_both(name)
    parts, batch = backbones.batches(network, typed=True)
    assert batch.stream.layout.widths[0] < batch.stream.layout.widths[1]
    leaves = tensors(name, model, network)
    together = network.call(leaves, noise_of(network, STEP_KEYS, batch), batch)
    for run, part in enumerate(parts):
        alone = build([part], network.reading, CPU)
        own = {n: t[run : run + 1] for n, t in leaves.items()}
        logits = network.call(own, noise_of(network, STEP_KEYS[run : run + 1], alone), alone)
        torch.testing.assert_close(together[run, : logits.shape[1]], logits[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"share_att_key": False}, {"pos_att_type": ["p2c"]}, {"pos_att_type": ["c2p"], "position_buckets": -1},
        {"pos_att_type": []}, {"norm_rel_ebd": "none"}, {"conv_kernel_size": 5, "conv_groups": 2},
    ],
)  # fmt: skip
def test_other_ways_of_looking_at_positions_are_the_stock_classifier_s(settings: dict[str, Any]) -> None:
    name = "deberta-v3"
    model, network, _ = on_both(name, **settings)
    parts, batch = backbones.batches(network)
    own = {n: t.detach() for n, t in {**network.weights, **backbones.head_tensors(name, model)}.items()}
    shared = network.call({n: t[None] for n, t in own.items() if n.startswith("head.")}, {}, batch)
    apart = network.call({n: torch.stack([t, t]) for n, t in own.items()}, {}, batch)
    for run, (examples, chosen) in enumerate(parts):
        theirs = model(**backbones.padded_inputs(model, examples, chosen)).logits
        for ours in (shared, apart):
            torch.testing.assert_close(ours[run, : len(chosen)], theirs, rtol=0, atol=1e-9)


def test_long_sequences_share_buckets_and_their_gradients_are_the_padded_ones() -> None:
    name = "deberta-v3"
    model, *networks = on_both(name)
    parts = [(tiny.examples("pair", 6, run, 38), np.array([0, 3, 2])) for run in range(2)]
    batch = build(parts, networks[0].reading, CPU)
    leaves = tensors(name, model, networks[0])
    found = [
        torch.autograd.grad(network.call(leaves, {}, batch).square().sum(), list(leaves.values()), allow_unused=True)
        for network in networks
    ]
    for part, ours, theirs in zip(leaves, *found, strict=True):
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9, msg=part)


def test_elements_of_relative_embeddings_train_too() -> None:
    """They are read as a whole table, not looked up by ids."""
    base = backbones.backbone(backbones.classifier("deberta-v3"))
    cohort = tiny.cohort(base, [tiny.run("random", 1e-2, seed, {"share": 0.3, "over": "all"}) for seed in range(2)])
    state = tiny.trained(cohort)
    name = "encoder.rel_embeddings.weight"
    moved = cohort.assembly.effective(state.flat.detach())[name] != cohort.network.weights[name]
    trained = torch.zeros(2, moved[0].numel() + 1, dtype=torch.bool)  # the last column is that of dead slots
    trained.scatter_(1, cohort.assembly.index[name], True)
    assert moved.any()
    assert not (moved.flatten(1) & ~trained[:, :-1]).any()
