"""Mixing with, or starting from, other weights than the pre-trained ones."""

import pytest
import torch

from peftcli.noise import step_keys
from peftcli.strategies import registry
from peftcli.strategies.tuning import Moment
from tests import tiny


def _anatomy():
    return tiny.cohort(tiny.backbone("bert"), [tiny.run("frozen")]).network.anatomy


def test_mixout_without_a_share_is_full():
    states = []
    for strategy, options in (("mixout", {"share": 0.0}), ("full", {})):
        cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, options=options)])
        states.append(tiny.trained(cohort).flat.detach())
    assert torch.equal(states[0], states[1])


def test_mixout_has_the_fine_tuned_weights_as_its_mean():
    share, draws = 0.4, 3000
    tuning = registry.get("mixout").tune(_anatomy(), {"share": share, "over": "all", "when": "training"})
    start = {"w": torch.randn(5, 7, dtype=torch.float64)}
    value = {"w": torch.randn(1, 5, 7, dtype=torch.float64)}
    keys = torch.tensor([123], dtype=torch.int32)
    total = torch.zeros(5, 7, dtype=torch.float64)
    kept = 0
    for step in range(draws):
        mixed = tuning.tensors(value, start, Moment(step, True, step_keys(keys, step)))["w"][0]
        kept += int((mixed != start["w"]).sum())
        total += mixed
    sigma = ((value["w"][0] - start["w"]).abs() * (share / (1 - share) / draws) ** 0.5).clamp(min=1e-12)
    assert float(((total / draws - value["w"][0]) / sigma).abs().max()) < 5
    assert abs(kept / (35 * draws) - (1 - share)) < 5 * (share * (1 - share) / (35 * draws)) ** 0.5


def test_initbias_starts_from_zero_biases_and_reinit_from_new_weights():
    zero = tiny.cohort(tiny.backbone("bert"), [tiny.run("initbias_bitfit")]).assembly
    assert all(float(v.abs().max()) == 0 for n, v in zero.values(zero.flat).items() if n.endswith("bias"))
    new = tiny.cohort(tiny.backbone("bert"), [tiny.run("reinit_bitfit")])
    weight = new.assembly.fixed["encoder.layer.0.intermediate.dense.weight"]
    assert float(weight.std()) == pytest.approx(0.02, rel=0.15)
    assert not torch.equal(weight[0], new.network.weights["encoder.layer.0.intermediate.dense.weight"])
