"""Decoders: what is published of them counts exactly, and the language model's head is none of it."""

import pytest

from peftcli.models import catalogue
from peftcli.models.anatomy import anatomy
from peftcli.models.decoders import DECODERS
from peftcli.models.heads import parameters
from peftcli.models.tensors import LAYERNORMS

# Of the published checkpoints' own AutoModel; `test_families` builds them.
LAYERNORM_ELEMENTS = {
    "gpt2": 12 * 2 * 2 * 768,
    "EleutherAI/pythia-410m": 24 * 2 * 2 * 1024,
    "HuggingFaceTB/SmolLM2-135M": 30 * 2 * 576,
    "meta-llama/Llama-3.2-1B": 16 * 2 * 2048,
    "Qwen/Qwen3-0.6B": 28 * 2 * 1024,
    "google/gemma-3-270m": 18 * 2 * 640,
}


@pytest.mark.parametrize("model", LAYERNORM_ELEMENTS)
def test_layernorm_is_the_two_norms_of_each_block(model: str) -> None:
    tensors = anatomy(catalogue.config(model), (), pooler=False)
    assert tensors.size(tensors.names(LAYERNORMS)) == LAYERNORM_ELEMENTS[model]


@pytest.mark.parametrize("family", DECODERS)
def test_heads_are_the_stock_classifiers(family: str) -> None:
    config = {"model_type": family, "hidden_size": 8, "n_embd": 8}
    assert [p.shape for p in parameters(config, "pair", 3, "stock")] == [(3, 8)]
    assert [p.shape for p in parameters(config, "token", 3, "stock")] == [(3, 8), (3,)]


def test_gemma_counts_its_gains_from_one() -> None:
    tensors = anatomy(catalogue.config("google/gemma-3-270m"), (), pooler=False)
    assert {p.offset for p in tensors.parameters if p.role.endswith("layernorm")} == {1.0}
    assert {p.offset for p in tensors.parameters if not p.role.endswith("layernorm")} == {0.0}
