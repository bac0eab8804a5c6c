"""A cohort's runs find what each finds alone, whatever the strategy and the family."""

import pytest
import torch

from peftcli.models.decoders import DECODERS
from peftcli.strategies import STRATEGIES
from tests import backbones, tiny
from tests.crosses import crossed


@pytest.mark.parametrize(
    ("strategy", "model_type", "dropout"), crossed(sorted(STRATEGIES), ["bert", "roberta"], [0.1, 0.0])
)
def test_a_cohort_equals_its_runs_alone(strategy, model_type, dropout):
    model = tiny.backbone(model_type)
    # Where a key's bias has no true gradient, Adam turns rounding into steps unless epsilon is well above it.
    runs = [
        tiny.run(strategy, rate, seed, steps=8, dropout=dropout, weight_decay=0.01, epsilon=1e-6)
        for rate, seed in [(1e-3, 0), (3e-3, 0), (5e-4, 1)]
    ]
    together = tiny.cohort(model, runs)
    state = tiny.trained(together)
    for row, run in enumerate(runs):
        alone = tiny.cohort(model, [run])
        other = tiny.trained(alone)
        theirs = {n: v[row] for n, v in together.assembly.effective(state.flat.detach()).items()}
        for name, value in alone.assembly.effective(other.flat.detach()).items():
            torch.testing.assert_close(theirs[name], value[0], rtol=0, atol=1e-9, msg=f"{name} {run.describe()}")


@pytest.mark.parametrize(
    ("strategy", "name"),
    crossed(
        ["full", "layernorm", "random", "lora", "adapter", "mixout", "sam", "gradient"],
        ["albert", "deberta-v3", "deberta-v2, own keys, convolution", "modernbert", "distilbert", *DECODERS],
    ),
)
def test_a_cohort_of_any_family_equals_its_runs_alone(strategy: str, name: str) -> None:
    found = backbones.backbone(backbones.classifier(name))
    settings = {"steps": 6, "dropout": 0.1, "epsilon": 1e-6}
    runs = [tiny.run(strategy, rate, seed, **settings) for rate, seed in [(1e-3, 0), (3e-3, 1)]]
    together = tiny.cohort(found, runs)
    state = tiny.trained(together)
    assert together.network.dropouts()
    for row, run in enumerate(runs):
        alone = tiny.cohort(found, [run])
        other = tiny.trained(alone)
        theirs = {n: v[row] for n, v in together.assembly.effective(state.flat.detach()).items()}
        for key, value in alone.assembly.effective(other.flat.detach()).items():
            torch.testing.assert_close(
                theirs[key], value[0], rtol=0, atol=backbones.TOLERANCE[name], msg=f"{key} {run.describe()}"
            )
