"""A batch that is computed in parts moves every weight as the whole batch does: every kind of loss, strategy and family."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from peftcli.data.examples import Array
from peftcli.engine import optimizer, parallel, training
from peftcli.engine.backbone import Backbone
from peftcli.engine.batches import Batch
from peftcli.engine.cohort import Cohort
from peftcli.engine.pretrained import fresh_tensors, training_gradient
from peftcli.engine.state import State
from peftcli.strategies import STRATEGIES
from peftcli.strategies.pretrained import Summed
from tests import backbones, tiny
from tests.crosses import crossed

# Ten examples in batches of four: every third batch has two, fewer than there are parts.
EXAMPLES, SETTINGS = 10, {"steps": 7, "epsilon": 1e-6, "max_grad_norm": 0.5, "weight_decay": 0.01, "dropout": 0.1}


def cohort(model: Backbone, strategy: str, kind: str, options: dict[str, Any] | None = None, **settings: Any) -> Cohort:
    runs = [
        tiny.run(strategy, rate, seed, options, **{**SETTINGS, **settings}) for rate, seed in ((3e-3, 0), (1e-3, 1))
    ]
    return tiny.cohort(model, runs, kind, tiny.data(kind, EXAMPLES))


def assert_equal(whole: Cohort, parts: Cohort, tolerance: float = 1e-9) -> State:
    """Train both to their end: values, losses, evaluations and counts of tokens are the same."""
    expected, found = tiny.trained(whole), tiny.trained(parts)
    torch.testing.assert_close(found.flat, expected.flat, rtol=0, atol=tolerance)
    assert not torch.equal(expected.flat.detach(), whole.assembly.flat)
    for history, wanted in zip(found.histories, expected.histories, strict=True):
        for name in ("training", "evaluations"):
            entries = zip(asdict(history)[name], asdict(wanted)[name], strict=True)
            assert all(entry == pytest.approx(other, abs=10 * tolerance) for entry, other in entries)
    assert (found.step, found.tokens) == (expected.step, expected.tokens)
    return found


@pytest.mark.parametrize(
    ("strategy", "kind", "parts"),
    crossed(sorted(STRATEGIES), ["token", "span", "regression", "choice", "pair"], [3, 8, 2]),
)
def test_parts_equal_the_whole_batch(strategy: str, kind: str, parts: int) -> None:
    model = tiny.backbone("bert", pooler=kind not in ("token", "span"))
    assert_equal(cohort(model, strategy, kind), cohort(model, strategy, kind, accumulate=parts))


@pytest.mark.parametrize(
    ("name", "strategy", "parts"), crossed(list(backbones.CONFIGS), ["layernorm", "full", "random"], [3, 8])
)
def test_parts_equal_the_whole_batch_in_every_family(name: str, strategy: str, parts: int) -> None:
    """On grids too a token draws what it draws in the whole batch, whose sequences are longer and lie in front."""
    model = backbones.backbone(backbones.classifier(name))
    whole, cut = (cohort(model, strategy, "pair", accumulate=n) for n in (1, parts))
    assert whole.sites
    assert_equal(whole, cut, backbones.TOLERANCE[name])


PACKAGED = {
    "lora": {"type": "LORA", "r": 2, "lora_dropout": 0.2, "target_modules": ["query", "ffn", "dense"]},
    "prompt": {"type": "PROMPT_TUNING", "num_virtual_tokens": 3},
}


@pytest.mark.parametrize(("method", "model_type"), [("lora", "bert"), ("lora", "albert"), ("prompt", "roberta")])
def test_modules_of_another_library_draw_the_same_too(method: str, model_type: str) -> None:
    sizes = {"embedding_size": 10, "type_vocab_size": 2} if model_type == "albert" else {}
    model = tiny.backbone(model_type, **sizes)
    whole, cut = (cohort(model, "peft", "choice", PACKAGED[method], accumulate=n) for n in (1, 3))
    assert_equal(whole, cut)


def test_a_part_without_a_labelled_word_adds_nothing() -> None:
    data = tiny.data("token", EXAMPLES)
    data = replace(data, train=tiny.without_words(data.train, range(7)))
    model = tiny.backbone("roberta")
    runs = {n: [tiny.run("full", 1e-3, seed, accumulate=n, **SETTINGS) for seed in (0, 1)] for n in (1, 3)}
    assert_equal(*(tiny.cohort(model, of_count, "token", data) for of_count in runs.values()))


def test_there_are_as_many_parts_as_asked_for_and_no_empty_ones() -> None:
    parts = cohort(tiny.backbone("bert"), "layernorm", "pair", accumulate=3)
    counts = [[len(batch.labels[0]) for batch in parts.batches(step)] for step in range(3)]
    assert counts == [[1, 1, 2], [1, 1, 2], [1, 1]]
    assert [batch.whole for batch in cohort(tiny.backbone("bert"), "layernorm", "pair").batches(0)] == [None]


@pytest.mark.parametrize(("batches", "summed"), [(None, "clipped"), (2, "clipped"), (3, "magnitudes")])
def test_the_gradient_that_a_mask_is_chosen_by_is_the_same_in_parts(batches: int | None, summed: Summed) -> None:
    made = cohort(tiny.backbone("bert"), "layernorm", "pair")
    network, run, examples = made.network, made.runs[0], made.data[0].train

    def slices(parts: int) -> Callable[[Array], Iterator[Batch]]:
        return lambda picked: parallel.slices([(examples, picked)], parts, network.reading, made.device)

    weights = {**network.weights, **fresh_tensors(network, 0)}
    found = [
        training_gradient(network, weights, run, "pair", EXAMPLES, slices(parts), batches, summed) for parts in (1, 3)
    ]
    assert set(found[0]) == set(found[1])
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=0, atol=1e-9, msg=name)


def test_clipping_looks_at_the_whole_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(optimizer, "clip", lambda gradient, norm: seen.append(gradient.clone()))
    for parts in (1, 3):
        one = cohort(tiny.backbone("bert"), "full", "pair", accumulate=parts)
        training.advance(one, training.begin(one))
    assert len(seen) == 2
    torch.testing.assert_close(seen[1], seen[0], rtol=0, atol=1e-9)
