"""Inserted modules: the numbers of the peft package, and the identity at the start."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from peftcli.engine.batches import build
from peftcli.errors import UserError
from peftcli.experiment.notation import parse_strategy
from peftcli.models.anatomy import anatomy
from peftcli.models.published import PUBLISHED_SIZES
from peftcli.strategies import pretrained, registry
from tests import tiny


def logits(cohort, flat):
    batch = build([(cohort.data[0].train, np.arange(8))], cohort.network.reading, cohort.device)
    return cohort.forward(flat, 0)(batch), batch


PEFT_NAMES = {"lora_a": "lora_A", "lora_b": "lora_B", "lora_magnitude": "lora_magnitude_vector"}


@pytest.mark.parametrize(("dora", "rslora"), [(False, False), (True, False), (False, True), (True, True)])
def test_lora_equals_the_peft_package(dora, rslora):
    from peft import LoraConfig, get_peft_model

    options = {"rank": 3, "alpha": 6.0, "targets": ["query", "output"], "dora": dora, "rslora": rslora}
    run = tiny.run("lora", options=options, dropout=0.0)
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    flat = cohort.assembly.flat.clone()
    generator = torch.Generator().manual_seed(1)
    flat += torch.randn(flat.shape, generator=generator, dtype=flat.dtype) * 0.05
    flat.requires_grad_()
    ours, _ = logits(cohort, flat)
    targets = r".*(query|layer\.\d+\.output\.dense)"
    config = LoraConfig(r=3, lora_alpha=6, target_modules=targets, use_dora=dora, use_rslora=rslora)
    theirs = get_peft_model(tiny.stock("bert"), config).double().eval()
    values = cohort.assembly.values(flat.detach())
    own = dict(theirs.named_parameters())
    for name, value in values.items():
        module, _, part = name.rpartition(".")
        if part in PEFT_NAMES:
            own[f"base_model.model.{module}.{PEFT_NAMES[part]}.default.weight"].data = value[0].clone()
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
    compared = 0
    for name in values:
        module, _, part = name.rpartition(".")
        if part in PEFT_NAMES:
            other = own[f"base_model.model.{module}.{PEFT_NAMES[part]}.default.weight"].grad
            torch.testing.assert_close(gradients[name][0], other, rtol=0, atol=1e-9)
            compared += 1
    assert compared == 3 * 2 * (3 if dora else 2)  # layers, modules in each, tensors of each


RELEASED = {"rank": 16, "alpha": 1.0, "b_start": "uniform", "train_head": False}


def test_released_matrices_are_drawn_as_torch_draws_a_linear_layer_and_scaled_by_one_over_the_rank() -> None:
    """Effectiveness, released: both matrices kaiming-uniform with a = sqrt(5), and alpha 1; so W starts at W0 + B A / rank."""
    model, targets = tiny.backbone("bert", hidden_size=64, intermediate_size=256), {"targets": ["query", "output"]}
    cohort = tiny.cohort(model, [tiny.run("lora", seed=seed, options=RELEASED | targets) for seed in (0, 1)])
    matrices = cohort.assembly.values(cohort.assembly.flat)
    source, start = pretrained.generator(0, "mask"), dict(cohort.network.weights)
    for module in cohort.assembly.tuning.insert:
        outputs, inputs = start[f"{module}.weight"].shape
        shapes = {"lora_a": (16, inputs), "lora_b": (outputs, 16)}
        for name, shape in shapes.items():
            expected = torch.nn.init.kaiming_uniform_(torch.empty(shape), a=math.sqrt(5), generator=source)
            torch.testing.assert_close(matrices[f"{module}.{name}"][0].float(), expected, rtol=1e-6, atol=0)
        assert 0.98 < float(matrices[f"{module}.lora_b"].abs().max()) / 16**-0.5 <= 1
        a, b = (matrices[f"{module}.{name}"][0] for name in shapes)
        start[f"{module}.weight"] = start[f"{module}.weight"] + b @ a / 16
        assert not torch.equal(*matrices[f"{module}.lora_b"])
    plain = tiny.cohort(model, [tiny.run("frozen", seed=seed) for seed in (0, 1)])
    head = {piece.name: plain.assembly.start[piece.name] for piece in plain.assembly.pieces}
    batch = build([(cohort.data[0].train, np.arange(8))] * 2, cohort.network.reading, cohort.device)
    expected = plain.network.call({name: value[None] for name, value in start.items()} | head, {}, batch)
    ours = cohort.forward(cohort.assembly.flat, 0)(batch)
    torch.testing.assert_close(ours[0], expected[0], rtol=0, atol=1e-9)
    assert float((ours[0] - plain.forward(plain.assembly.flat, 0)(batch)[0]).abs().max()) > 1e-4


@pytest.mark.parametrize(
    "options",
    [RELEASED, {"rank": 2, "dora": True}, {"rank": 2, "dora": True, "rslora": True, "dropout": 0.2}],
)
def test_matrices_and_magnitudes_train_in_a_cohort_as_alone(options: dict[str, Any]) -> None:
    runs = [
        tiny.run("lora", rate, seed, options, steps=8, dropout=0.1, epsilon=1e-6)
        for rate, seed in ((1e-3, 0), (3e-3, 1))
    ]
    tiny.assert_as_alone(
        tiny.cohort(tiny.backbone("roberta"), runs), lambda run: tiny.cohort(tiny.backbone("roberta"), [run])
    )


@pytest.mark.parametrize("wiring", ["published", "before_dropout"])
@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
@pytest.mark.parametrize("strategy", ["adapter", "lora", "lora with magnitudes"])
def test_inserted_modules_start_as_the_identity(strategy, placement, wiring):
    adapter = {"placement": placement, "size": 3, "up_deviation": 0.0, "wiring": wiring}
    options = adapter if strategy == "adapter" else {"rank": 2, "dora": strategy != "lora"}
    strategy = strategy.partition(" ")[0]
    model = tiny.backbone("bert")
    inserted = tiny.cohort(model, [tiny.run(strategy, options=options)])
    plain = tiny.cohort(model, [tiny.run("frozen")])
    assert torch.equal(logits(inserted, inserted.assembly.flat)[0], logits(plain, plain.assembly.flat)[0])
    places = {"houlsby": 2, "pfeiffer": 1}[placement] if strategy == "adapter" else 2
    assert len(inserted.assembly.tuning.insert) == 3 * places


def count(model: str, strategy: str, layers: int | None = None) -> int:
    """How many weights a strategy, written as on the command line, trains in a published model (of so many layers)."""
    config = dict(PUBLISHED_SIZES[model])
    if layers is not None:
        config["num_hidden_layers"] = layers
    name, options = next(iter(parse_strategy(strategy).items()))
    found = registry.get(name)
    structure = anatomy(config, (), pooler=True)
    tuning = found.tune(structure, found.options(options))
    return sum(math.prod(shape) for of in tuning.inserted_shapes(structure).values() for shape in of.values())


MODERN, DEBERTA = "answerdotai/ModernBERT-base", "microsoft/deberta-v3-base"


@pytest.mark.parametrize(
    ("model", "strategy", "message"),
    [
        (
            MODERN,
            "lora:targets=query",
            "has no query: its linear layers are query_key_value, attention_output, intermediate, output;",
        ),
        (MODERN, "lora:targets=key+value", "with the option targets=query_key_value+attention_output"),
        (MODERN, "lora:targets=attention_output+value", "has no value"),
        ("bert-base-uncased", "lora:targets=query_key_value", "targets=query+key+value+attention_output"),
        ("albert-base-v2", "lora:targets=position_key", "has no position_key"),
        (DEBERTA, "lora:targets=query+query_key_value", "has no query_key_value"),
        (MODERN, "bitfit", "this model has no bias at all to train"),
        (MODERN, "spafit:groups=4-9", "this model has no bias at all to train"),
        ("minilm", "adapter:reduction=400", "reduction = 400 leaves a bottleneck of nothing: the nearest is 384"),
    ],
)
def test_a_layer_that_the_family_lacks_is_named_with_those_it_has(model: str, strategy: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        count(model, strategy)
    assert message in str(refused.value)


def test_the_layers_that_the_message_names_can_be_chosen() -> None:
    # Rank 8 beside a layer of these outputs and inputs: 8 × (outputs + inputs).
    assert count(MODERN, "lora:targets=query_key_value+attention_output") == 22 * 8 * ((3 * 768 + 768) + 2 * 768)
    assert count(MODERN, "lora:variant=II") == 22 * 8 * ((3 * 768 + 768) + 2 * 768)
    assert (
        count(MODERN, "lora") == count(MODERN, "lora:variant=I") == 22 * 8 * (3 * 768 + 768)
    )  # of a fused layer alone
    assert count("bert-base-uncased", "lora:targets=query+value") == count("bert-base-uncased", "lora")
    assert count("bert-base-uncased", "lora:targets=output") == 12 * 8 * (768 + 3072)


def test_magnitudes_count_one_an_output() -> None:
    assert count("bert-base-uncased", "lora:dora=true") == 12 * 2 * (8 * (768 + 768) + 768)
    assert count("bert-base-uncased", "lora:dora=true,targets=intermediate") == 12 * (8 * (768 + 3072) + 3072)
    assert count("bert-base-uncased", "lora:rslora=true") == count("bert-base-uncased", "lora")


@pytest.mark.parametrize(
    ("layers", "groups", "message"),
    [
        (6, "4-9", "the nearest is 3-4; legal are two numbers from 0 to 4, the first below the second"),
        (6, "3-3", "the nearest is 3-4;"),
        (12, "9-4", "the nearest is 9-10; legal are two numbers from 0 to 10"),
        (3, "4-9", "the nearest is 0-1; legal are two numbers from 0 to 1"),
        (3, "0-0", "the nearest is 0-1;"),
        (2, "0-1", "needs three groups of layers, and this model has 2"),
        (1, "4-9", "needs three groups of layers, and this model has 1"),
    ],
)
def test_groups_that_do_not_fit_are_told_with_the_nearest_that_do(layers: int, groups: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        count("minilm", f"spafit:groups={groups}", layers)
    assert message in str(refused.value)
    if "nearest" in message:
        nearest = re.search(r"nearest is (\d+-\d+)", str(refused.value))
        assert nearest is not None
        assert count("minilm", f"spafit:groups={nearest[1]}", layers) > 0
