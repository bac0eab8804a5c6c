"""Nothing moves but what a strategy selects, to the bit."""

import pytest
import torch

from peftcli.strategies import STRATEGIES
from tests import tiny
from tests.crosses import crossed


@pytest.mark.parametrize(("strategy", "model_type"), crossed(sorted(STRATEGIES), ["bert", "roberta"]))
def test_nothing_outside_the_mask_moves(strategy, model_type):
    model = tiny.backbone(model_type)
    run = tiny.run(strategy, 5e-3, optimizer="adamw", weight_decay=0.1, weight_decay_spares="nothing")
    cohort = tiny.cohort(model, [run])
    assembly = cohort.assembly
    before = {name: value[0].clone() for name, value in assembly.effective(assembly.flat).items()}
    state = tiny.trained(cohort)
    after = assembly.effective(state.flat.detach())
    for name, value in before.items():
        if name not in assembly.index:
            continue
        moved = (after[name][0] != value).reshape(-1).nonzero()[:, 0]
        allowed = assembly.index[name][0]
        assert set(moved.tolist()) <= set(allowed.tolist())
        assert len(moved) >= 0.9 * len(allowed), f"{name}: {len(moved)} of {len(allowed)} moved"
    loaded = dict(tiny.stock(model_type).named_parameters())
    for name, tensor in cohort.network.weights.items():
        if name not in after:
            assert torch.equal(tensor, loaded[name]), name
    still = [n for n in after if n.startswith("head.") and torch.equal(after[n][0], before[n])]
    assert not still
