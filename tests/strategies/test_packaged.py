"""The `peft` strategy: counts are the package's own, training equals a plain loop over its model, cohorts their runs alone."""

from typing import Any

import pytest
import torch

from peftcli.engine import training
from peftcli.engine.batches import chosen
from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.notation import parse_strategy
from peftcli.models import published
from peftcli.strategies import registry
from tests import backbones, tiny

peft = pytest.importorskip("peft")
METHODS: dict[str, dict[str, Any]] = {
    "LORA": {"r": 2, "lora_alpha": 4, "target_modules": ["query", "value"]},
    "LORA with DoRA": {"r": 2, "use_dora": True, "target_modules": "query+key"},
    "LORA with biases": {"r": 2, "bias": "all"},
    "IA3": {},
    "VERA": {"r": 4},
    "LN_TUNING": {"target_modules": ["LayerNorm"]},
    "PREFIX_TUNING": {"num_virtual_tokens": 3},
    "PROMPT_TUNING": {"num_virtual_tokens": 3},
    "P_TUNING": {"num_virtual_tokens": 2, "encoder_hidden_size": 8},
    "LOHA": {"r": 2},
    "LOKR": {"r": 2},
    "BOFT": {},
    "OFT": {"oft_block_size": 4},
    "HRA": {"r": 2},
    "FOURIERFT": {"n_frequency": 10},
    "RANDLORA": {"r": 2},
    "VBLORA": {"vector_length": 4, "num_vectors": 6, "topk": 2, "r": 2},
    "UNILORA": {},
}


def options(method: str) -> dict[str, Any]:
    return {"type": method.partition(" ")[0], **METHODS[method]}


def config_of(method: str) -> Any:
    given = {k: v.split("+") if isinstance(v, str) and "+" in v else v for k, v in METHODS[method].items()}
    kind = method.partition(" ")[0]
    return peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(kind)](task_type="FEATURE_EXTRACTION", **given)


@pytest.mark.parametrize("method", METHODS)
def test_the_count_is_the_package_s_own(method: str) -> None:
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("peft", options=options(method))])
    stock = tiny.stock("bert")
    stock.pooler = None
    own = peft.get_peft_model(stock, config_of(method)).get_nb_trainable_parameters()[0]
    assert cohort.assembly.counts == (own,)
    assert cohort.assembly.flat.shape == (1, own + cohort.network.anatomy.head_total)
    found = registry.get("peft").tune(cohort.network.anatomy, cohort.runs[0].options)
    assert parameters.trainable(cohort.network.anatomy, found) == own


def plain_loop(cohort: Any, method: str, steps: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The package's model in training mode on padded batches, with a head of two tensors and torch's own Adam."""
    run, examples, network = cohort.runs[0], cohort.data[0].train, cohort.network
    model = tiny.stock("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    pooler, model.pooler = model.pooler, None
    wrapped = peft.get_peft_model(model, config_of(method)).train()
    own = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
    values = {name: value[0].clone() for name, value in cohort.assembly.values(cohort.assembly.flat).items()}
    for name, parameter in own.items():
        parameter.data = values[name]
    frozen = dict(network.backbone.named_buffers())
    for name, buffer in wrapped.named_buffers():  # frozen random parts are the same in all our runs
        if name in frozen and buffer.shape == frozen[name].shape:
            buffer.copy_(frozen[name])
    head = {n: values[f"head.out.{n}"].requires_grad_() for n in ("weight", "bias")}
    optimizer = torch.optim.Adam([*own.values(), *head.values()], lr=run.learning_rate, eps=1e-6)
    losses = []
    for step in range(steps):
        picked = chosen(run.seed, step, len(examples), run.protocol.batch_size)
        given = backbones.padded_inputs(model, examples, picked)
        hidden = wrapped(**given).last_hidden_state[:, -given["input_ids"].shape[1] :]
        logits = torch.nn.functional.linear(pooler.activation(pooler.dense(hidden[:, 0])), head["weight"], head["bias"])
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(examples.labels[picked]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: p.detach() for name, p in own.items()}


@pytest.mark.parametrize("method", METHODS)
def test_training_equals_a_plain_loop_over_the_package_s_model(method: str) -> None:
    settings = {
        "optimizer": "adam",
        "epsilon": 1e-6,
        "max_grad_norm": None,
        "schedule": "constant",
        "warmup_ratio": 0.0,
    }
    run = tiny.run("peft", 3e-3, options=options(method), steps=5, dropout=0.0, weight_decay=0.0, **settings)
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    losses, wanted = plain_loop(cohort, method, 5)
    state = training.begin(cohort)
    found = []
    for _ in range(5):
        found.append(cohort.loss(state.flat.detach(), state.step, cohort.batch(state.step)).total.item())
        training.advance(cohort, state)
    assert found == pytest.approx(losses, abs=1e-9)
    values = cohort.assembly.values(state.flat.detach())
    start = cohort.assembly.values(cohort.assembly.flat)
    for name, value in wanted.items():
        torch.testing.assert_close(values[name][0], value, rtol=0, atol=1e-7, msg=name)
    assert any(not torch.equal(values[name], start[name]) for name in wanted), "nothing of the method has moved"


def test_lora_of_the_package_is_ours() -> None:
    model = tiny.backbone("bert")
    settings = {"steps": 8, "epsilon": 1e-6, "dropout": 0.0}
    theirs = tiny.cohort(model, [tiny.run("peft", options=options("LORA"), **settings)])
    ours = tiny.cohort(model, [tiny.run("lora", options={"rank": 2, "alpha": 4.0}, **settings)])
    values, given = ours.assembly.values(ours.assembly.flat), theirs.assembly.values(theirs.assembly.flat)
    for name, value in values.items():
        module, _, last = name.rpartition(".")
        part = {"lora_a": "lora_A", "lora_b": "lora_B"}.get(last)
        if part:
            value.copy_(given[f"base_model.model.{module}.{part}.default.weight"])
    assert theirs.assembly.counts == ours.assembly.counts
    losses = [tiny.trained(cohort).histories[0].training for cohort in (theirs, ours)]
    assert [e["loss"] for e in losses[0]] == pytest.approx([e["loss"] for e in losses[1]], abs=1e-9)


def test_layernorm_tuning_of_the_package_is_ours() -> None:
    model = tiny.backbone("bert")
    settings = {"steps": 8, "epsilon": 1e-6, "dropout": 0.1}
    chosen = {"type": "LN_TUNING", "target_modules": r".*encoder.*LayerNorm"}
    theirs = tiny.cohort(model, [tiny.run("peft", options=chosen, seed=1, **{**settings, "dropout": 0.0})])
    ours = tiny.cohort(model, [tiny.run("layernorm", options={}, seed=1, **{**settings, "dropout": 0.0})])
    assert theirs.assembly.counts == ours.assembly.counts
    losses = [tiny.trained(cohort).histories[0].training for cohort in (theirs, ours)]
    assert [e["loss"] for e in losses[0]] == pytest.approx([e["loss"] for e in losses[1]], abs=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("peft:type=IA4", "unknown peft type 'IA4': did you mean 'IA3'?"),
        ("peft:type=LORA,rank=4", "unknown option of peft type LORA 'rank': did you mean 'r"),
        ("peft", "option 'type' is missing"),
        ("peft:type=ADALORA", "moves its ranks"),
        ("peft:type=LORA,task_type=SEQ_CLS", "unknown option of peft type LORA 'task_type'"),
        ("peft:type=LORA,target_modules=nothing", "peft type LORA: "),
        ("peft:type=LORA,r=0", "peft type LORA: "),
    ],
)
def test_what_is_wrong_is_one_line(given: str, message: str) -> None:
    name, settings = next(iter(parse_strategy(given).items()))
    with pytest.raises(UserError) as caught:
        parameters.count("bert-base-uncased", name, settings, "pair", 2)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_counts_of_bert_base_need_no_weights() -> None:
    counts = parameters.count("bert-base-uncased", "peft", {"type": "ia3"}, "pair", 2)
    assert counts.trainable == 12 * (768 + 768 + 768 + 3072)
    assert counts.total == sum(p.size for p in _bert())


def _bert() -> Any:
    from peftcli.models.tensors import pretrained_parameters

    return pretrained_parameters(published.PUBLISHED_SIZES["bert-base-uncased"], True)


@pytest.mark.parametrize(
    ("listed", "written"),
    [
        ({"type": "LORA", "target_modules": ["query"]}, "peft:type=LORA,target_modules=query"),
        ({"type": "LORA", "target_modules": ["query", "key"]}, "peft:type=LORA,target_modules=query+key"),
        ({"type": "LORA", "target_modules": ["self.query"]}, "peft:type=LORA,target_modules=self.query"),
        (
            {"type": "IA3", "target_modules": ["key", "output.dense"], "feedforward_modules": ["output.dense"]},
            "peft:type=IA3,target_modules=key+output.dense,feedforward_modules=output.dense",
        ),
        (
            {"type": "LORA", "target_modules": ["query"], "layers_to_transform": [1, 3], "layers_pattern": ["layer"]},
            "peft:type=LORA,target_modules=query,layers_to_transform=1+3,layers_pattern=layer",
        ),
    ],
)
def test_a_name_is_a_list_of_one_and_no_regular_expression(listed: dict[str, Any], written: str) -> None:
    name, settings = next(iter(parse_strategy(written).items()))
    ours, theirs = (parameters.count("minilm", name, each, "pair", 2) for each in (settings, listed))
    assert ours == theirs
    assert ours.trainable > 0


def test_a_regular_expression_stays_one() -> None:
    every, one = (
        parameters.count("minilm", "peft", {"type": "LORA", "target_modules": text}, "pair", 2).trainable
        for text in (r".*\.query", r".*layer\.0\..*\.query")
    )
    assert every == 6 * one > 0
