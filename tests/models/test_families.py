"""Names, shapes and totals of every family from a config's numbers alone are those of the real models."""

import pytest
import torch

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
    # Decoders without the language model's head.
    "gpt2": 124_439_808,
    "EleutherAI/pythia-410m": 353_822_720,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "google/gemma-3-270m": 268_098_176,
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
