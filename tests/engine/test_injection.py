"""Another library's modules: each run's own draws, nothing of ours or of torch's state changed."""

from typing import Any

import pytest
import torch

from peftcli.errors import UserError
from tests import backbones, tiny
from tests.crosses import crossed

pytest.importorskip("peft")
METHODS: dict[str, dict[str, Any]] = {
    "LORA": {"r": 2, "lora_alpha": 4, "target_modules": ["query", "value"]},
    "IA3": {},
    "PREFIX_TUNING": {"num_virtual_tokens": 3},
    "VERA": {"r": 4},
}


def options(method: str) -> dict[str, Any]:
    return {"type": method, **METHODS[method]}


def test_every_run_starts_from_its_own_seed_and_again_from_the_same() -> None:
    runs = [tiny.run("peft", seed=seed, options=options("LORA")) for seed in (0, 1)]
    starts = [tiny.cohort(tiny.backbone("bert"), runs).assembly for _ in range(2)]
    values = [assembly.values(assembly.flat) for assembly in starts]
    drawn = [name for name in values[0] if "lora_A" in name]
    assert len(drawn) == 6
    for name in drawn:
        assert torch.equal(values[0][name], values[1][name])
        assert not torch.equal(values[0][name][0], values[0][name][1])


def test_the_global_random_state_is_left_alone() -> None:
    states = []
    for strategy in ("layernorm", "peft"):
        model = tiny.backbone("bert")
        torch.manual_seed(3)
        tiny.cohort(model, [tiny.run(strategy)])
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


TARGETS = {"distilbert": "q_lin", "deberta-v3": "query_proj", "gpt2": "c_attn"}


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *crossed(["IA3", "PREFIX_TUNING", "LORA", "VERA"], ["distilbert", "electra", "deberta-v3", "albert"]),
        ("PREFIX_TUNING", "llama"),
        ("LORA", "gpt2"),
    ],
)
def test_a_cohort_equals_its_runs_alone_and_the_backbone_stays(method: str, name: str) -> None:
    given = options(method)
    if method == "PREFIX_TUNING":
        if name not in ("electra", "llama"):
            pytest.skip("the package has no prefix for this model")
    else:
        given["target_modules"] = [TARGETS.get(name, "query")]
        given |= {"feedforward_modules": []} if method == "IA3" else {}
    given |= {"lora_dropout": 0.1} if method == "LORA" else {}
    found = backbones.backbone(backbones.classifier(name))
    before = {n: p.clone() for n, p in found.network.named_parameters()}
    runs = [
        tiny.run("peft", rate, seed, given, steps=4, dropout=0.1, epsilon=1e-6) for rate, seed in [(1e-3, 0), (3e-3, 1)]
    ]
    together = tiny.cohort(found, runs)
    state = tiny.trained(together)
    for row, run in enumerate(runs):
        alone = tiny.cohort(found, [run])
        torch.testing.assert_close(tiny.trained(alone).flat[0], state.flat[row], rtol=0, atol=1e-9)
    assert all(torch.equal(before[n], p) for n, p in found.network.named_parameters())
    assert tiny.cohort(found, [tiny.run("layernorm")]).network.stream


def test_an_initialisation_that_moves_pre_trained_weights_is_refused() -> None:
    given = {"type": "LORA", "r": 2, "init_lora_weights": "pissa"}
    model = tiny.backbone("bert", dtype=torch.float32)
    before = {n: p.clone() for n, p in model.network.named_parameters()}
    with pytest.raises(UserError, match="changes pre-trained weights"):
        tiny.cohort(model, [tiny.run("peft", options=given)])
    assert all(torch.equal(before[n], p) for n, p in model.network.named_parameters())
