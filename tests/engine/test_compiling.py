"""A compiled network computes what the plain one does, and is compiled once for training and once for evaluation."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from peftcli.engine import compiling, training
from peftcli.engine.cohort import Cohort
from peftcli.errors import UserError
from tests import tiny

STEPS = 10


def pair(strategy: str, runs: int) -> tuple[Cohort, Cohort]:
    """The same cohort compiled and not."""
    model = tiny.backbone("bert", num_hidden_layers=1)
    # So far away is the end that no loss is written down, and all are still at hand.
    settings = {"dropout": 0.1, "steps": 100_000, "warmup_ratio": 0.0, "evaluate_every": "100000 steps"}
    both = [
        [tiny.run(strategy, 1e-3 * (1 + seed), seed, compile=on, **settings) for seed in range(runs)]
        for on in (True, False)
    ]
    fast, plain = (tiny.cohort(model, members) for members in both)
    return fast, plain


@pytest.mark.whole
def test_ten_batches_compile_once_and_give_the_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(compiling, "BACKEND", counter)
    torch._dynamo.reset()
    fast, plain = pair("layernorm", 3)
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


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: object, inputs: object) -> None:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(compiling, "BACKEND", broken)
    with pytest.raises(UserError, match=r"torch cannot compile here .*no C\+\+ compiler"):
        compiling.compiled(lambda x: x + 1)(torch.ones(2))


def test_a_compiled_run_has_an_id_of_its_own_and_an_uncompiled_one_the_id_it_always_had() -> None:
    plain, fast = tiny.run("layernorm"), tiny.run("layernorm", compile=True)
    assert "compile" not in plain.canonical_fields["protocol"]
    assert fast.canonical_fields["protocol"]["compile"] is True
    assert fast.id != plain.id
    assert fast.cohort_key() != plain.cohort_key()  # so that they never train together


@pytest.mark.parametrize("strategy", ["random", "lora"])
def test_what_is_not_compiled_is_refused(strategy: str) -> None:
    with pytest.raises(UserError, match=f"not for strategy {strategy} on a bert"):
        tiny.cohort(tiny.backbone("bert", num_hidden_layers=1), [tiny.run(strategy, compile=True)])
