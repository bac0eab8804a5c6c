"""Gates open as often as their closed form says; what is projected keeps the asked share."""

import numpy as np
import pytest
import torch

from peftcli.strategies import gated, registry
from peftcli.strategies.tuning import Moment
from tests import tiny


def evaluation(runs=1):
    return Moment(0, False, torch.zeros(runs, dtype=torch.int32))


def _anatomy():
    return tiny.cohort(tiny.backbone("bert"), [tiny.run("frozen")]).network.anatomy


def test_the_expected_l0_is_its_closed_form_and_the_frequency_of_open_gates():
    log_alpha = torch.tensor([-2.0, -0.5, 0.0, 1.0, 3.0], dtype=torch.float64)
    noise = torch.rand(200_000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    opened = (gated.gate(log_alpha, noise) > 0).double().mean(0)
    closed_form = torch.sigmoid(log_alpha - np.log(gated.STRETCH / gated.STRETCH))
    torch.testing.assert_close(opened, closed_form, rtol=0, atol=5 * 0.5 / 200_000**0.5)
    tuning = registry.get("diffpruning").tune(_anatomy(), {**registry.get("diffpruning").options({"share": 0.05})})
    names = [n.removeprefix(gated.GATE) for n in tuning.extra]
    many = {gated.GATE + n: log_alpha[None] for n in names} | {n: torch.zeros(1, 5) for n in names}
    assert float(tuning.penalty(many, evaluation())) == pytest.approx(float(closed_form.mean()))


@pytest.mark.parametrize("strategy", ["diffpruning", "childpruning"])
def test_projected_strategies_keep_exactly_the_asked_share(strategy):
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, 5e-3, weight_decay=0.01)])
    state = tiny.trained(cohort)
    after = cohort.assembly.effective(state.flat.detach())
    total = 0
    for name, kept in cohort.assembly.tuning.kept.items():
        moved = int((after[name][0] != cohort.network.weights[name]).sum())
        assert kept == int(0.05 * after[name][0].numel() + 1e-9)
        assert kept - moved in (0, 1, 2), name  # an embedding's row that no example has may be chosen and not move
        total += moved
    assert total >= 0.9 * cohort.assembly.counts[0]
