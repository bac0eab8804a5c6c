"""Every family: tensors from numbers alone equal the real model's, logits and gradients equal the stock classifier's."""

import pytest
import torch

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.models import catalogue
from peftcli.models.families import FAMILIES
from peftcli.models.tensors import pretrained_parameters
from tests import backbones, tiny

TOTALS = {  # of the published checkpoints' own AutoModel
    "bert-base-uncased": 109_482_240,
    "distilbert-base-uncased": 66_362_880,
    "google/electra-base-discriminator": 108_891_648,
    "xlm-roberta-base": 278_043_648,
    "albert-base-v2": 11_683_584,
    "microsoft/deberta-v3-base": 183_831_552,
    "answerdotai/ModernBERT-base": 149_014_272,
}


def test_every_family_is_tested() -> None:
    assert {model_type for model_type, _ in backbones.CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_names_and_shapes_from_numbers_are_the_real_model_s(name: str) -> None:
    base = backbones.classifier(name).base_model
    config = base.config.to_dict()
    pooler = getattr(base, "pooler", None) is not None
    found = {p.name: p.shape for p in pretrained_parameters(config, pooler)}
    assert found == {n: tuple(p.shape) for n, p in base.named_parameters()}


@pytest.mark.parametrize("model", TOTALS)
def test_totals_of_published_checkpoints(model: str) -> None:
    from transformers import AutoConfig, AutoModel

    config = catalogue.config(model)
    with torch.device("meta"):
        built = AutoModel.from_config(AutoConfig.for_model(**config))
    total = sum(p.numel() for p in built.parameters())
    pooler = FAMILIES[config["model_type"]].pooler is not None
    assert sum(p.size for p in pretrained_parameters(config, pooler)) == total == TOTALS[model]


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_logits_and_gradients_equal_the_stock_classifier_s(name: str) -> None:
    model = backbones.classifier(name)
    network = backbones.network(model)
    parts, batch = backbones.batches(network, typed=True)
    own = {n: p.detach() for n, p in {**dict(network.weights), **backbones.head_tensors(name, model)}.items()}
    assert set(own) == set(network.anatomy.by_name)
    leaves = {n: torch.stack([t, t]).requires_grad_() for n, t in own.items()}  # each run its own copy of everything
    logits = network.call(leaves, {}, batch)
    shared = network.call({n: t[None] for n, t in own.items() if n.startswith("head.")}, {}, batch)
    names = dict(model.named_parameters())
    ours = {n: f"{model.base_model_prefix}.{n}" for n in network.weights}
    ours |= {n: next(k for k, p in names.items() if p is t) for n, t in backbones.head_tensors(name, model).items()}
    for run, (examples, chosen) in enumerate(parts):
        theirs = model(**backbones.padded_inputs(model, examples, chosen)).logits
        torch.testing.assert_close(logits[run, : len(chosen)], theirs, rtol=0, atol=backbones.TOLERANCE[name])
        torch.testing.assert_close(shared[run, : len(chosen)], theirs, rtol=0, atol=backbones.TOLERANCE[name])
        weights = torch.linspace(-1, 1, theirs.numel(), dtype=theirs.dtype).view_as(theirs)
        wanted = torch.autograd.grad((theirs * weights).sum(), list(names.values()), allow_unused=True)
        stock = dict(zip(names, wanted, strict=True))
        found = torch.autograd.grad(
            (logits[run, : len(chosen)] * weights).sum(), list(leaves.values()), retain_graph=True, allow_unused=True
        )
        for own_name, gradient in zip(leaves, found, strict=True):
            expected = stock[ours[own_name]]
            if gradient is None or expected is None:
                assert gradient is expected, own_name
                continue
            torch.testing.assert_close(gradient[run], expected, rtol=0, atol=backbones.TOLERANCE[name], msg=own_name)


@pytest.mark.parametrize("name", ["albert", "deberta-v3", "modernbert", "distilbert"])
@pytest.mark.parametrize("strategy", ["full", "layernorm", "random", "lora", "adapter", "mixout", "sam"])
def test_a_cohort_equals_its_runs_alone(name: str, strategy: str) -> None:
    from tests.engine.test_training import trained

    if name == "modernbert" and strategy == "lora":
        pytest.skip("it has one matrix for query, key and value")
    found = backbones.backbone(backbones.classifier(name))
    settings = {"steps": 6, "dropout": 0.1, "epsilon": 1e-6}
    runs = [tiny.run(strategy, rate, seed, **settings) for rate, seed in [(1e-3, 0), (3e-3, 1)]]
    together = tiny.cohort(found, runs)
    state = trained(together)
    assert together.network.dropouts()
    for row, run in enumerate(runs):
        alone = tiny.cohort(found, [run])
        other = trained(alone)
        theirs = {n: v[row] for n, v in together.assembly.effective(state.flat.detach()).items()}
        for key, value in alone.assembly.effective(other.flat.detach()).items():
            torch.testing.assert_close(
                theirs[key], value[0], rtol=0, atol=backbones.TOLERANCE[name], msg=f"{key} {run.describe()}"
            )


def test_shared_layers_are_dropped_from_anew_in_every_layer() -> None:
    model = backbones.classifier("albert", hidden_dropout_prob=0.2)
    network = backbones.network(model)
    _, batch = backbones.batches(network)
    seen = []
    place = network.get_submodule("backbone.encoder.albert_layer_groups.0.albert_layers.0.attention.output_dropout")
    place.register_forward_hook(lambda _, inputs, output: seen.append((output == 0)[:, :4]))
    noise = network.noise(list(network.dropouts()), torch.tensor([3, 4], dtype=torch.int32), batch)
    head = {n: t[None] for n, t in backbones.head_tensors("albert", model).items()}
    first = network.call(head, noise, batch)
    again = network.call(head, noise, batch)
    assert torch.equal(first, again)
    assert len(seen) == 6
    assert not torch.equal(seen[0], seen[1])
    assert all(0 < part.float().mean() < 0.5 for part in seen)


def test_shared_layers_count_once_and_the_error_says_which_layers_there_are() -> None:
    counts = parameters.count("albert-base-v2", "layernorm", {}, "pair", 2)
    assert counts.trainable == 4 * 768
    with pytest.raises(UserError, match="layer 2 does not exist: the nearest is 1"):
        parameters.count("albert-base-v2", "layernorm", {"layers": [2]}, "pair", 2)


def test_a_config_with_gaps_is_named() -> None:
    config = dict(catalogue.PUBLISHED_SIZES["google/electra-base-discriminator"])
    for key in ("embedding_size", "intermediate_size"):
        with pytest.raises(UserError, match=key):
            pretrained_parameters({k: v for k, v in config.items() if k != key}, False)
    with pytest.raises(UserError, match="unknown architecture 'bret': did you mean 'bert'"):
        pretrained_parameters({"model_type": "bret"}, False)


def test_a_model_without_biases_refuses_bitfit() -> None:
    with pytest.raises(UserError, match="no bias"):
        parameters.count("answerdotai/ModernBERT-base", "bitfit", {}, "pair", 2)


def test_dropped_attention_probabilities_that_would_be_lost_are_refused() -> None:
    with pytest.raises(UserError, match="drops attention probabilities"):
        backbones.backbone(backbones.classifier("modernbert", attention_dropout=0.1))
