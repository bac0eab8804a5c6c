"""Mixing with, or starting from, other weights than the pre-trained ones."""

from typing import Any

import pytest
import torch
from torch.func import functional_call

from peftcli.engine.batches import chosen
from peftcli.noise import step_keys, uniform
from peftcli.strategies import registry
from peftcli.strategies.tuning import Moment
from tests import backbones, tiny
from tests.engine.test_training import stock_classifier, stock_name


def _anatomy():
    return tiny.cohort(tiny.backbone("bert"), [tiny.run("frozen")]).network.anatomy


def test_mixout_without_a_share_is_full():
    states = []
    for strategy, options in (("mixout", {"share": 0.0}), ("full", {})):
        cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, options=options)])
        states.append(tiny.trained(cohort).flat.detach())
    assert torch.equal(states[0], states[1])


QUERY, BIAS = "encoder.layer.0.attention.self.query.weight", "encoder.layer.0.attention.self.query.bias"
WORDS = "embeddings.word_embeddings.weight"


def mixing(**options: Any) -> Any:
    mixout = registry.get("mixout")
    return mixout.tune(_anatomy(), mixout.options(options)).tensors


@pytest.mark.parametrize("mask", ["columns", "elements"])
def test_mixout_has_the_fine_tuned_weights_as_its_mean(mask: str) -> None:
    share, draws, mix = 0.4, 3000, mixing(share=0.4, mask=mask)
    start = {QUERY: torch.randn(5, 7, dtype=torch.float64)}
    value = {QUERY: torch.randn(1, 5, 7, dtype=torch.float64)}
    keys = torch.tensor([123], dtype=torch.int32)
    total = torch.zeros(5, 7, dtype=torch.float64)
    kept = 0
    for step in range(draws):
        mixed = mix(value, start, Moment(step, True, step_keys(keys, step)))[QUERY][0]
        kept += int((mixed != start[QUERY]).sum())
        total += mixed
    sigma = ((value[QUERY][0] - start[QUERY]).abs() * (share / (1 - share) / draws) ** 0.5).clamp(min=1e-12)
    assert float(((total / draws - value[QUERY][0]) / sigma).abs().max()) < 5
    independent = 7 if mask == "columns" else 35
    assert abs(kept / (35 * draws) - (1 - share)) < 5 * (share * (1 - share) / (independent * draws)) ** 0.5


def test_mixout_is_lee_et_al_s() -> None:
    """Whole columns of linear layers' weights, each by its mask: ((1 - m) u + m w - p u) / (1 - p); nothing else is mixed."""
    p, shapes = 0.5, {QUERY: (40, 300), BIAS: (40,), WORDS: (61, 16), "head.out.weight": (2, 16)}
    start = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    values = {name: torch.randn(3, *shape, dtype=torch.float64) for name, shape in shapes.items()}
    keys = torch.tensor([1, 2, 3], dtype=torch.int32)
    mixed = mixing(share=p)(values, start, Moment(0, True, keys))
    assert all(mixed[name] is values[name] for name in shapes if name != QUERY)
    m = (mixed[QUERY] != start[QUERY]).double()
    assert bool((m == m[:, :1]).all()), "one mask for all outputs of an input"
    assert all(abs(float(of_run.mean()) - p) < 5 * (p * (1 - p) / 300) ** 0.5 for of_run in m)
    assert not torch.equal(m[0], m[1])
    expected = ((1 - m) * start[QUERY] + m * values[QUERY] - p * start[QUERY]) / (1 - p)
    torch.testing.assert_close(mixed[QUERY], expected, rtol=0, atol=1e-12)
    assert mixing(share=p)(values, start, Moment(0, False, keys)) is values  # evaluation sees the fine-tuned weights


@pytest.mark.parametrize("when", ["training", "evaluation"])
def test_everything_can_be_mixed_element_by_element(when: str) -> None:
    """As earlier records were, and the released code of effectiveness is."""
    shapes = {QUERY: (40, 300), BIAS: (400,), WORDS: (61, 16), "head.out.weight": (2, 16)}
    start = {name: torch.zeros(shape) for name, shape in shapes.items()}
    values = {name: torch.ones(1, *shape) for name, shape in shapes.items()}
    mix = mixing(share=0.25, mixes="everything", mask="elements", when=when)
    mixed = mix(values, start, Moment(0, when == "training", torch.tensor([7], dtype=torch.int32)))
    assert mixed["head.out.weight"] is values["head.out.weight"]
    for name in (QUERY, BIAS, WORDS):
        kept = mixed[name] > 0
        assert abs(float(kept.float().mean()) - 0.75) < 5 * (0.1875 / kept.numel()) ** 0.5
        assert float(mixed[name][kept].unique()) == pytest.approx(4 / 3 if when == "training" else 1)
    columns = (mixed[QUERY][0] > 0).float().mean(0)
    assert float(columns.min()) > 0
    assert float(columns.max()) < 1 or float(columns.std()) < 0.2


MIXOUT = {"share": 0.5, "over": "all", "when": "training", "mixes": "linear", "mask": "columns"}


def test_it_equals_a_plain_loop_with_mixed_linear_layers() -> None:
    steps, rate = 16, 3e-3
    settings = {"weight_decay": 0.01, "max_grad_norm": None, "dropout": 0.0, "epsilon": 1e-6, "steps": steps}
    run = tiny.run("mixout", rate, 1, MIXOUT, schedule="constant", warmup_ratio=0.0, **settings)
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    names = [piece.name for piece in cohort.assembly.pieces]
    model = stock_classifier("bert", cohort.assembly.start)
    linear = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "classifier"}
    own = dict(model.named_parameters())
    spared = [name for name in own if name.endswith("bias") or "LayerNorm" in name]
    groups = [
        {"params": [p for n, p in own.items() if n not in spared], "weight_decay": 0.01},
        {"params": [own[n] for n in spared], "weight_decay": 0.0},
    ]
    optimizer, examples = torch.optim.AdamW(groups, lr=rate, eps=1e-6), cohort.data[0].train
    for step in range(steps):
        keys = cohort.noise(step, cohort.batch(step))[1]
        mixed = {}
        for site, name in enumerate(names):
            theirs = stock_name("bert", name)
            if theirs in linear:
                keep = (uniform(keys, site, own[theirs].shape[1]) >= 0.5).double()  # [1, inputs]
                mixed[theirs] = cohort.assembly.start[name] + keep * (own[theirs] - cohort.assembly.start[name]) / 0.5
        picked = chosen(run.seed, step, len(examples), run.protocol.batch_size)
        batch = backbones.padded_inputs(model, examples, picked) | {"labels": torch.tensor(examples.labels[picked])}
        functional_call(model, mixed, kwargs=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert len(linear) == 3 * 6 + 1
    ours = cohort.assembly.values(tiny.trained(cohort).flat.detach())
    for name in names:
        expected = own[stock_name("bert", name)].detach()
        torch.testing.assert_close(ours[name][0], expected, rtol=0, atol=1e-9, msg=name)


@pytest.mark.parametrize(
    "changes", [{}, {"mixes": "everything"}, {"mask": "elements"}, {"when": "evaluation"}], ids=str
)
@pytest.mark.parametrize("family", ["roberta", "deberta-v2, own keys, convolution", "albert"])
def test_every_way_of_mixing_trains_in_a_cohort_as_alone(family: str, changes: dict[str, str]) -> None:
    model, settings = backbones.backbone(backbones.classifier(family)), {"steps": 6, "dropout": 0.1, "epsilon": 1e-6}
    runs = [tiny.run("mixout", rate, seed, MIXOUT | changes, **settings) for rate, seed in ((1e-3, 0), (3e-3, 1))]
    together = tiny.cohort(model, runs)
    state = tiny.trained(together)
    for row, run in enumerate(runs):
        alone = tiny.cohort(model, [run])
        other = tiny.trained(alone)
        assert [e["loss"] for e in state.histories[row].evaluations] == pytest.approx(
            [e["loss"] for e in other.histories[0].evaluations], abs=1e-9
        )
        ends = together.assembly.values(state.flat.detach())
        for name, value in alone.assembly.values(other.flat.detach()).items():
            torch.testing.assert_close(ends[name][row], value[0], rtol=0, atol=1e-9, msg=name)


def test_what_is_mixed_and_counted_where_the_released_code_resets() -> None:
    anatomy, mixout = _anatomy(), registry.get("mixout")
    for mixes, names in (("linear", anatomy.linear_weights()), ("everything", anatomy.names())):
        tuning = mixout.tune(anatomy, mixout.options({"share": 0.75, "when": "evaluation", "mixes": mixes}))
        assert tuning.kept == {name: 0.25 * anatomy.by_name[name].size for name in names}


def test_initbias_starts_from_zero_biases_and_reinit_from_new_weights():
    zero = tiny.cohort(tiny.backbone("bert"), [tiny.run("initbias_bitfit")]).assembly
    assert all(float(v.abs().max()) == 0 for n, v in zero.values(zero.flat).items() if n.endswith("bias"))
    new = tiny.cohort(tiny.backbone("bert"), [tiny.run("reinit_bitfit")])
    weight = new.assembly.fixed["encoder.layer.0.intermediate.dense.weight"]
    assert float(weight.std()) == pytest.approx(0.02, rel=0.15)
    assert not torch.equal(weight[0], new.network.weights["encoder.layer.0.intermediate.dense.weight"])
