"""Every strategy trains on every kind of task, and learns."""

import pytest

from peftcli.strategies import STRATEGIES
from tests import tiny
from tests.crosses import crossed

MODELS = ("bert", "roberta")


@pytest.mark.parametrize(("strategy", "kind", "model_type"), crossed(sorted(STRATEGIES), tiny.KINDS, MODELS))
def test_every_strategy_trains_on_every_kind_of_task(strategy, kind, model_type):
    model = tiny.backbone(model_type, pooler=model_type == "bert" and kind not in ("span", "token"))
    cohort = tiny.cohort(model, [tiny.run(strategy, 1e-3, steps=12, evaluate_every="6 steps")], kind)
    state = tiny.trained(cohort)
    history = state.histories[0]
    assert history.diverged is None
    assert [entry["step"] for entry in history.evaluations] == [6, 12]
    assert len(history.training) == 12


HALVES = (
    "full", "feedforward", "multihead", "layernorm", "bitfit", "lora", "adapter", "spafit", "mixout", "magpruning",
    "childpruning", "diffpruning", "sam", "random", "gradient",
)  # fmt: skip


@pytest.mark.parametrize(("strategy", "model_type"), crossed(HALVES, MODELS))
def test_the_loss_falls_by_half(strategy, model_type):
    """In 30 steps on 8 repeated examples, at a learning rate of 1e-2 (weights wide enough to tell the examples apart)."""
    run = tiny.run(strategy, 1e-2, steps=30, dropout=0.0, batch_size=8, schedule="constant", warmup_ratio=0.0)
    cohort = tiny.cohort(tiny.backbone(model_type, initializer_range=0.3), [run], own=tiny.data("pair", 8))
    losses = [entry["loss"] for entry in tiny.trained(cohort).histories[0].training]
    assert losses[-1] <= 0.5 * losses[0]
