"""Weight decay moves what it should: no bias, no LayerNorm (the head's too), no gate or anchor, unless nothing is spared."""

from typing import Any

import pytest
import torch

from peftcli.engine import optimizer, training
from tests import backbones, tiny


def decayed(strategy: str, spares: str = "biases and layernorms", options: dict[str, Any] | None = None) -> set[str]:
    run = tiny.run(strategy, options=options, weight_decay=0.1, weight_decay_spares=spares)
    cohort = tiny.cohort(backbones.backbone(backbones.classifier("modernbert, mean, biases")), [run])
    row = optimizer.decay(cohort.assembly, run.protocol).columns
    pieces = cohort.assembly.pieces
    if row is None:
        return {piece.name for piece in pieces}
    parts = {piece.name: row[piece.start : piece.stop] for piece in pieces}
    assert all(len(set(part.tolist())) == 1 for part in parts.values())
    return {name for name, part in parts.items() if part[0] == 1}


def test_biases_and_layernorms_are_spared() -> None:
    found = decayed("full")
    assert {"head.dense.weight", "head.out.weight", "embeddings.tok_embeddings.weight"} <= found
    assert not [name for name in found if name.endswith("bias") or "norm" in name]
    assert len(found) == 1 + 3 * 4 + 2  # embeddings, four matrices in each of three layers, the head's two


def test_nothing_is_spared_where_so_set_but_aids_of_training() -> None:
    whole = decayed("full", "nothing")
    assert {"head.norm.weight", "head.norm.bias"} <= whole
    for strategy, options in (("diffpruning", {"share": 0.05}), ("magpruning", {"share": 0.05, "burn_in": 2})):
        assert {name for name in decayed(strategy, "nothing", options) if "::" in name} == set()


@pytest.mark.parametrize(
    ("strategy", "options", "weights"),
    [("lora", {"targets": ["output"]}, {"lora_a", "lora_b"}), ("adapter", {}, {"adapter_down", "adapter_up"})],
)
def test_inserted_biases_are_spared(strategy: str, options: dict[str, Any], weights: set[str]) -> None:
    assert {name.rpartition(".")[2] for name in decayed(strategy, options=options)} == {"weight", *weights}


@pytest.mark.parametrize("strategy", ["layernorm", "random", "layernorm_outlier", "lora", "full"])
def test_optimizer_state_is_eight_bytes_a_trained_element(strategy):
    cohort = tiny.cohort(tiny.backbone("bert", dtype=torch.float32), [tiny.run(strategy)])
    state = training.begin(cohort)
    trained = cohort.assembly.counts[0] + cohort.network.anatomy.head_total
    assert state.moments.mean.nbytes + state.moments.square.nbytes == 8 * trained
