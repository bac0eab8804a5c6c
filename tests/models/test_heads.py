"""Heads by task kind, style and family, in names and shapes alone."""

import pytest

from peftcli.models import heads
from peftcli.models.published import PUBLISHED_SIZES

BERT, ROBERTA = PUBLISHED_SIZES["bert-base-uncased"], PUBLISHED_SIZES["roberta-base"]


def shapes(config: dict[str, object], kind: str, labels: int, style: heads.Style) -> dict[str, tuple[int, ...]]:
    return {p.name.removeprefix("head."): p.shape for p in heads.parameters(config, kind, labels, style)}


def test_tensors_follow_the_family_the_kind_and_the_style() -> None:
    out = {"out.weight": (3, 768), "out.bias": (3,)}
    dense = {"dense.weight": (768, 768), "dense.bias": (768,)}
    assert shapes(BERT, "sentence", 3, "stock") == out  # its pooler is the dense layer
    assert shapes(ROBERTA, "sentence", 3, "stock") == dense | out
    assert shapes(BERT, "sentence", 3, "pooled_dense") == dense | out
    assert shapes(ROBERTA, "token", 3, "stock") == shapes(ROBERTA, "sentence", 3, "linear") == out
    for kind in ("regression", "choice"):
        assert shapes(BERT, kind, 3, "stock") == {"out.weight": (1, 768), "out.bias": (1,)}
    spans = {"span_attention.weight": (1, 768), "span_attention.bias": (1,), "out.weight": (2, 1536), "out.bias": (2,)}
    assert shapes(BERT, "span", 2, "stock") == spans


@pytest.mark.parametrize(
    ("kind", "style", "reads"),
    [("sentence", "stock", (True, False)), ("sentence", "linear", (True, True)), ("token", "stock", (False, False))],
)
def test_the_pooler_is_read_where_it_stands_for_the_dense_layer(
    kind: str, style: heads.Style, reads: tuple[bool, bool]
) -> None:
    assert (heads.uses_pooler(BERT, kind, style), heads.uses_pooler(ROBERTA, kind, style)) == reads


def test_activations_and_dropouts_are_the_family_s() -> None:
    modernbert = PUBLISHED_SIZES["answerdotai/ModernBERT-base"]
    assert heads.inner_activation(BERT, "sentence", "stock") is None
    assert heads.inner_activation(ROBERTA, "sentence", "stock") == "tanh"
    assert heads.inner_activation(modernbert, "sentence", "stock") == "gelu"
    config = {**ROBERTA, "hidden_dropout_prob": 0.1, "classifier_dropout": 0.3}
    assert heads.dropouts(config, "sentence", "stock") == (0.3, 0.3)
    assert heads.dropouts({**BERT, "hidden_dropout_prob": 0.1}, "sentence", "stock") == (None, 0.1)
    assert heads.averages(modernbert, "sentence", "stock")
    assert not heads.averages(modernbert, "token", "stock")
