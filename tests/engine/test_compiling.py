"""A compiled network computes what the plain one does, and is compiled once for training and once for evaluation."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from peftcli.engine import compiling, training
from peftcli.engine.cohort import Cohort
from peftcli.errors import UserError
from peftcli.models.families import FAMILIES
from peftcli.strategies import STRATEGIES
from peftcli.strategies.tuning import Tuning
from tests import backbones, tiny

STEPS = 10
ACCEPTED = (
    "bitfit", "childpruning", "feedforward", "frozen", "full", "initbias_bitfit", "layernorm", "layernorm_attention",
    "layernorm_ffn", "mixout", "multihead", "reinit_bitfit",
)  # fmt: skip
FAMILY = ("bert", "roberta", "distilbert", "electra, narrow embeddings")


def pair(strategy: str, runs: int, kind: str = "pair", family: str = "bert") -> tuple[Cohort, Cohort]:
    """The same cohort compiled and not."""
    layers = "n_layers" if family == "distilbert" else "num_hidden_layers"
    model = backbones.backbone(backbones.classifier(family, **{layers: 1}), kind)
    # So far away is the end that no loss is written down, and all are still at hand.
    settings = {"dropout": 0.1, "steps": 100_000, "warmup_ratio": 0.0, "evaluate_every": "100000 steps"}
    both = [
        [tiny.run(strategy, 1e-3 * (1 + seed), seed, compile=on, **settings) for seed in range(runs)]
        for on in (True, False)
    ]
    fast, plain = (tiny.cohort(model, members, kind) for members in both)
    return fast, plain


@pytest.mark.parametrize(
    "family",
    ["bert", *(pytest.param(name, marks=pytest.mark.whole) for name in ("modernbert", "llama", "gpt2", "gemma3_text"))],
)
def test_ten_batches_compile_once_and_give_the_plain_numbers(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(compiling, "BACKEND", counter)
    torch._dynamo.reset()
    fast, plain = pair("layernorm", 3, family=family)
    states = training.begin(fast), training.begin(plain)
    shapes, counted = set(), []
    for step in range(STEPS):
        shapes.add(fast.batch(step).stream.ids.shape)
        for cohort, state in zip((fast, plain), states, strict=True):
            training.advance(cohort, state)
        counted.append(counter.frame_count)
    losses = [torch.stack(state.pending) for state in states]
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-9)
    torch.testing.assert_close(states[0].flat, states[1].flat, rtol=0, atol=1e-9)
    with torch.no_grad():
        for step in range(STEPS):
            batch = fast.batch(step)
            outputs = [c.forward(states[0].flat.detach(), step)(batch) for c in (fast, plain)]
            torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-9)
            counted.append(counter.frame_count)
    assert len(shapes) == 5
    assert counted == [counted[0]] * STEPS + [counted[STEPS]] * STEPS


@pytest.mark.whole
@pytest.mark.parametrize("strategy", ACCEPTED)
def test_every_strategy_that_is_accepted_trains_as_it_does_uncompiled(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    torch._dynamo.reset()
    turn = ACCEPTED.index(strategy)
    fast, plain = pair(strategy, 1 + turn % 3, tiny.KINDS[turn % 5], FAMILY[turn % 4])
    states = training.begin(fast), training.begin(plain)
    for _ in range(4):
        for cohort, state in zip((fast, plain), states, strict=True):
            training.advance(cohort, state)
    losses = [torch.stack(state.pending) for state in states]
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-9)
    assert (losses[1].diff(dim=0) != 0).all()
    torch.testing.assert_close(states[0].flat, states[1].flat, rtol=0, atol=1e-9)
    with torch.no_grad():
        batch = fast.batch(4)
        outputs = [cohort.forward(states[0].flat.detach(), 4)(batch) for cohort in (fast, plain)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-9)


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: object, inputs: object) -> None:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(compiling, "BACKEND", broken)
    batch = tiny.cohort(tiny.backbone("bert", num_hidden_layers=1), [tiny.run("layernorm")]).batch(0)
    with pytest.raises(UserError, match=r"torch cannot compile here .*no C\+\+ compiler"):
        compiling.compiled(lambda tensors, noise, batch: tensors["bias"] + 1)({"bias": torch.ones(2)}, {}, batch)


def test_a_compiled_run_has_an_id_of_its_own_and_an_uncompiled_one_the_id_it_always_had() -> None:
    plain, fast = tiny.run("layernorm"), tiny.run("layernorm", compile=True)
    assert "compile" not in plain.canonical_fields["protocol"]
    assert fast.canonical_fields["protocol"]["compile"] is True
    assert fast.id != plain.id
    assert fast.cohort_key() != plain.cohort_key()  # so that they never train together


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - set(ACCEPTED)))
def test_what_is_not_compiled_is_refused(strategy: str) -> None:
    with pytest.raises(UserError, match=f"not for strategy {strategy} on a bert"):
        tiny.cohort(tiny.backbone("bert", num_hidden_layers=3), [tiny.run(strategy, compile=True)])


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row.shared or row.relative])
def test_other_models_are_refused(family: str) -> None:
    with pytest.raises(UserError, match=f"not for strategy full on a {family}"):
        compiling.check("full", Tuning(), {"model_type": family})
