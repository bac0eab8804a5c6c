"""Each strategy is what its authors describe: checked against independent implementations, and every one learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from peftcli.engine import training
from peftcli.engine.batches import build
from peftcli.experiment import plan, recipe
from peftcli.noise import step_keys
from peftcli.strategies import STRATEGIES, gated, registry
from peftcli.strategies.tuning import Moment
from peftcli.tasks import registry as tasks
from tests import tiny

MODELS = ("bert", "roberta")


def trained(cohort):
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        pass
    return state


def evaluation(runs=1):
    return Moment(0, False, torch.zeros(runs, dtype=torch.int32))


@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("model_type", MODELS)
def test_every_strategy_trains_on_every_kind_of_task(strategy, kind, model_type):
    model = tiny.backbone(model_type, pooler=model_type == "bert" and kind not in ("span", "token"))
    cohort = tiny.cohort(model, [tiny.run(strategy, 1e-3, steps=30, evaluate_every="15 steps")], kind)
    state = trained(cohort)
    history = state.histories[0]
    assert history.diverged is None
    assert [entry["step"] for entry in history.evaluations] == [15, 30]
    assert len(history.training) == 30


HALVES = (
    "full", "feedforward", "multihead", "layernorm", "bitfit", "lora", "adapter", "spafit", "mixout", "magpruning",
    "childpruning", "diffpruning", "sam", "random",
)  # fmt: skip


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("strategy", HALVES)
def test_the_loss_falls_by_half(strategy, model_type):
    """In 30 steps on 8 repeated examples, at a learning rate of 1e-2 (weights wide enough to tell the examples apart)."""
    run = tiny.run(strategy, 1e-2, steps=30, dropout=0.0, batch_size=8, schedule="constant", warmup_ratio=0.0)
    cohort = tiny.cohort(tiny.backbone(model_type, initializer_range=0.3), [run], own=tiny.data("pair", 8))
    losses = [entry["loss"] for entry in trained(cohort).histories[0].training]
    assert losses[-1] <= 0.5 * losses[0]


def logits(cohort, flat):
    batch = build([(cohort.data[0].train, np.arange(8))], cohort.network.first_position, cohort.device)
    return cohort.forward(flat, 0)(batch), batch


def test_lora_equals_the_peft_package():
    from peft import LoraConfig, get_peft_model

    run = tiny.run("lora", options={"rank": 3, "alpha": 6.0, "targets": ["query", "output"]}, dropout=0.0)
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    flat = cohort.assembly.flat.clone()
    generator = torch.Generator().manual_seed(1)
    flat += torch.randn(flat.shape, generator=generator, dtype=flat.dtype) * 0.05
    flat.requires_grad_()
    ours, _ = logits(cohort, flat)
    config = LoraConfig(r=3, lora_alpha=6, target_modules=r".*(query|layer\.\d+\.output\.dense)", lora_dropout=0.0)
    theirs = get_peft_model(tiny.stock("bert"), config).double().eval()
    values = cohort.assembly.values(flat.detach())
    own = dict(theirs.named_parameters())
    for name, value in values.items():
        module, _, part = name.rpartition(".")
        if part in ("lora_a", "lora_b"):
            own[f"base_model.model.{module}.lora_{part[-1].upper()}.default.weight"].data = value[0].clone()
    examples = cohort.data[0].train
    rows = [torch.tensor(examples.ids[examples.starts[i] : examples.starts[i + 1]]) for i in range(8)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    pooled = theirs(input_ids=ids, attention_mask=mask).pooler_output
    expected = pooled @ values["head.out.weight"][0].T + values["head.out.bias"][0]
    torch.testing.assert_close(ours[0], expected, rtol=0, atol=1e-9)
    ours.square().sum().backward()
    expected.square().sum().backward()
    gradients = cohort.assembly.values(flat.grad)
    for name in values:
        module, _, part = name.rpartition(".")
        if part in ("lora_a", "lora_b"):
            other = own[f"base_model.model.{module}.lora_{part[-1].upper()}.default.weight"].grad
            torch.testing.assert_close(gradients[name][0], other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
@pytest.mark.parametrize("strategy", ["adapter", "lora"])
def test_inserted_modules_start_as_the_identity(strategy, placement):
    options = {"placement": placement, "size": 3} if strategy == "adapter" else {"rank": 2}
    model = tiny.backbone("bert")
    inserted = tiny.cohort(model, [tiny.run(strategy, options=options)])
    plain = tiny.cohort(model, [tiny.run("frozen")])
    assert torch.equal(logits(inserted, inserted.assembly.flat)[0], logits(plain, plain.assembly.flat)[0])
    places = {"houlsby": 2, "pfeiffer": 1}[placement] if strategy == "adapter" else 2
    assert len(inserted.assembly.tuning.insert) == 3 * places


def test_mixout_without_a_share_is_full():
    states = []
    for strategy, options in (("mixout", {"share": 0.0}), ("full", {})):
        cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, options=options)])
        states.append(trained(cohort).flat.detach())
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


def _anatomy():
    return tiny.cohort(tiny.backbone("bert"), [tiny.run("frozen")]).network.anatomy


@pytest.mark.parametrize("strategy", ["diffpruning", "childpruning"])
def test_projected_strategies_keep_exactly_the_asked_share(strategy):
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, 5e-3, weight_decay=0.01)])
    state = trained(cohort)
    after = cohort.assembly.effective(state.flat.detach())
    total = 0
    for name, kept in cohort.assembly.tuning.kept.items():
        moved = int((after[name][0] != cohort.network.weights[name]).sum())
        assert kept == int(0.05 * after[name][0].numel() + 1e-9)
        assert kept - moved in (0, 1, 2), name  # an embedding's row that no example has may be chosen and not move
        total += moved
    assert total >= 0.9 * cohort.assembly.counts[0]


def test_magpruning_chooses_as_numpy_does():
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("magpruning")])
    for name, index in cohort.assembly.index.items():
        weight = cohort.network.weights[name].numpy().reshape(-1)
        count = int(0.05 * weight.size)
        expected = np.argpartition(-np.abs(weight), count - 1)[:count]
        assert set(index[0].tolist()) == set(expected.tolist())


def test_layernorm_outliers_are_farthest_from_their_modules_mean():
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm_outlier")])
    weights = cohort.network.weights
    for layer in range(3):
        for place in ("attention.output", "output"):
            stem = f"encoder.layer.{layer}.{place}.LayerNorm"
            row = np.concatenate([weights[f"{stem}.weight"].numpy(), weights[f"{stem}.bias"].numpy()])
            expected = set(np.argsort(-np.abs(row - row.mean()))[:5].tolist())
            gain, bias = (cohort.assembly.index.get(f"{stem}.{kind}", torch.empty(1, 0)) for kind in ("weight", "bias"))
            assert set(gain[0].tolist()) | {16 + i for i in bias[0].tolist()} == expected


@pytest.mark.parametrize("choice", ["model", "tensor"])
def test_sam_chooses_by_the_whole_training_gradient(choice):
    run = tiny.run("sam", options={"share": 0.05, "choice": choice})
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    head = tiny.cohort(tiny.backbone("bert"), [run.model_copy(update={"strategy": "full", "options": {}})])
    flat = head.assembly.flat.clone().requires_grad_()
    examples = head.data[0].train
    losses = []
    for one in range(len(examples)):  # one example at a time: no batching of ours
        batch = build([(examples, np.array([one]))], 0, head.device)
        found = head.forward(flat, 0)(batch)
        losses.append(torch.nn.functional.cross_entropy(found[0], batch.labels[0]))
    torch.stack(losses).mean().backward()
    gradients = {
        n: g[0].reshape(-1).numpy() for n, g in head.assembly.values(flat.grad).items() if not n.startswith("head.")
    }
    chosen = {name: set(index[0].tolist()) for name, index in cohort.assembly.index.items()}
    if choice == "tensor":
        for name, gradient in gradients.items():
            count = int(0.05 * gradient.size)
            assert chosen.get(name, set()) == set(np.argsort(-(gradient**2), kind="stable")[:count].tolist()), name
        return
    row = np.concatenate(list(gradients.values()))
    best = set(np.argsort(-(row**2), kind="stable")[: int(0.05 * row.size)].tolist())
    start, ours = 0, set()
    for name, gradient in gradients.items():
        ours |= {start + place for place in chosen.get(name, set())}
        start += gradient.size
    assert ours == best


def test_bernoulli_random_has_its_share():
    options = {"share": 0.05, "draw": "bernoulli"}
    runs = [tiny.run("random", seed=seed, options=options) for seed in range(5)]
    counts = tiny.cohort(tiny.backbone("bert"), runs).assembly.counts
    size = _anatomy().total
    sigma = (0.05 * 0.95 * size) ** 0.5
    assert all(abs(count - 0.05 * size) < 5 * sigma for count in counts)
    assert len(set(counts)) > 1


def test_exact_random_draws_each_element_alike_and_by_the_seed():
    places = [
        tiny.cohort(tiny.backbone("bert"), [tiny.run("random", seed=s, options={"count": 500})]).assembly
        for s in (0, 0, 1)
    ]
    assert [p.counts[0] for p in places] == [500, 500, 500]
    assert all(torch.equal(places[0].index[name], places[1].index[name]) for name in places[0].index)
    assert any(not torch.equal(places[0].index[n], places[2].index.get(n, torch.empty(0))) for n in places[0].index)


def test_initbias_starts_from_zero_biases_and_reinit_from_new_weights():
    zero = tiny.cohort(tiny.backbone("bert"), [tiny.run("initbias_bitfit")]).assembly
    assert all(float(v.abs().max()) == 0 for n, v in zero.values(zero.flat).items() if n.endswith("bias"))
    new = tiny.cohort(tiny.backbone("bert"), [tiny.run("reinit_bitfit")])
    weight = new.assembly.fixed["encoder.layer.0.intermediate.dense.weight"]
    assert float(weight.std()) == pytest.approx(0.02, rel=0.15)
    assert not torch.equal(weight[0], new.network.weights["encoder.layer.0.intermediate.dense.weight"])


def test_a_new_strategy_is_one_function():
    @registry.strategy
    def made_up(model, only: int = 1):
        """The output layer of one layer."""
        return model.names(("output",), [only])

    try:
        cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("made_up", options={"only": 2})])
        trained(cohort)
        assert cohort.assembly.counts == (16 * 24 + 16,)
        document = {"title": "t", "model": "minilm", "tasks": ["rte"], "learning_rates": [1e-3], "seeds": 1}
        made = recipe.build({**document, "strategies": ["made_up:only=3"]}, Path("made_up.yaml"), {})
        assert plan.expand(made)[0].run.options == {"only": 3}
    finally:
        del STRATEGIES["made_up"]


RECIPES = sorted(recipe.root().rglob("*.yaml"))


def test_there_are_recipes():
    assert len([file for file in RECIPES if file.name != "protocol.yaml"]) >= 15


@pytest.mark.parametrize(
    "file", [f for f in RECIPES if f.name != "protocol.yaml"], ids=lambda f: f"{f.parent.name}-{f.stem}"
)
def test_every_recipe_trains(file):
    planned = plan.expand(recipe.load(file, {}))
    run = planned[0].run
    deep = run.model in ("bert-large-cased",)
    model_type = "roberta" if run.model == "roberta-base" else "bert"
    changes = {"steps": 4, "minimum_steps": None, "evaluate_every": "2 steps"}
    if tasks.get(run.task).kind == "token":
        changes["metric"] = "accuracy"
    settings = run.protocol.model_copy(update=changes)
    task = tasks.get(run.task)
    kind = task.kind
    pooler = kind != "token" and (model_type == "bert" or settings.head == "pooled_dense")
    sizes = {"hidden_size": 128, "num_hidden_layers": 24 if deep else 12}
    model = tiny.backbone(model_type, pooler=pooler, dtype=torch.float32, **sizes)
    data = replace(tiny.data(kind), metrics=("accuracy",) if kind == "token" else task.metrics)
    state = trained(tiny.cohort(model, [run.model_copy(update={"protocol": settings})], own=data))
    assert state.histories[0].evaluations
