"""Names, shapes and totals from a config's numbers alone are those of the real models."""

import pytest
import torch

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.models import catalogue
from peftcli.models.families import FAMILIES
from peftcli.models.tensors import pretrained_parameters
from tests import backbones

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
