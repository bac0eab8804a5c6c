"""Which of BERT base's tensors every strategy of whole tensors lets move, by their numbers of elements."""

from typing import Any

import pytest

from peftcli.strategies import registry
from tests.strategies.published import bert

NORM = 2 * 768  # a gain and a bias
SQUARE = 768 * 768 + 768
LAYER_BIASES = 4 * 768 + 768 + 3072 + 768 + 768  # attention, its LayerNorm, both dense layers, their LayerNorm


@pytest.mark.parametrize(
    ("name", "options", "elements"),
    [
        ("full", {}, 109_482_240),
        ("frozen", {}, 0),
        ("multihead", {}, 12 * 4 * SQUARE),
        ("feedforward", {"layers": [1, 2]}, 2 * (2 * 768 * 3072 + 3072 + 768)),
        ("layernorm", {}, 24 * NORM),
        ("layernorm", {"embedding": True, "layers": [5]}, 3 * NORM),
        ("layernorm_attention", {}, 12 * NORM),
        ("layernorm_ffn", {"layers": [12]}, NORM),
        ("bitfit", {}, 12 * LAYER_BIASES + 768 + 768),  # the embeddings' LayerNorm and the pooler too
        ("bitfit", {"over": "encoder"}, 12 * LAYER_BIASES),
    ],
)
def test_so_many_elements_move(name: str, options: dict[str, Any], elements: int) -> None:
    strategy, model = registry.get(name), bert()
    assert model.size(strategy.tune(model, strategy.options(options)).mask) == elements


def test_the_two_layernorms_of_a_layer_are_told_apart() -> None:
    for name, module in (("layernorm_attention", "attention.output"), ("layernorm_ffn", "output")):
        mask = registry.get(name).tune(bert(), {"layers": [3]}).mask
        assert mask == tuple(f"encoder.layer.2.{module}.LayerNorm.{part}" for part in ("weight", "bias"))
