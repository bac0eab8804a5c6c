"""Which runs a stock model can be made of, and what it calls their tensors."""

from typing import Any

import pytest

from peftcli.deltas import stock
from peftcli.errors import UserError
from peftcli.models.published import PUBLISHED_SIZES
from peftcli.strategies.tuning import Bottleneck, Lora
from peftcli.tasks import registry as tasks
from tests import tiny

BERT = PUBLISHED_SIZES["bert-base-uncased"]
ROBERTA = PUBLISHED_SIZES["roberta-base"]
MODERN = PUBLISHED_SIZES["answerdotai/ModernBERT-base"]


@pytest.mark.parametrize(
    ("task", "head", "config", "message"),
    [
        ("wsc", "stock", BERT, "task wsc has a span head, which no stock model has: use `peftcli predict`"),
        ("copa", "stock", BERT, "task copa has a choice head, which no stock model has: use `peftcli predict`"),
        (
            "conll2003",
            "stock",
            MODERN,
            "a stock modernbert token classifier has another head than this run: use `peftcli predict`",
        ),
        ("rte", "pooled_dense", BERT, "head 'pooled_dense' is not the one of a stock bert classifier"),
        ("rte", "linear", ROBERTA, "head 'linear' is not the one of a stock roberta classifier"),
    ],
)
def test_a_head_that_no_stock_model_has_is_refused(task: str, head: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        stock.check(tiny.run("layernorm", head=head), tasks.get(task), config)
    assert str(refused.value).startswith(message)


def test_heads_are_compared_by_what_they_compute() -> None:
    for head, config in (("stock", BERT), ("linear", BERT), ("stock", ROBERTA)):
        stock.check(tiny.run("layernorm", head=head), tasks.get("rte"), config)


def test_low_rank_matrices_fold_into_the_weights_and_adapters_do_not() -> None:
    run = tiny.run("adapter")
    stock.check_insertions(run, [Lora(2, 4.0)], injected=False)
    with pytest.raises(UserError, match="strategy adapter inserts adapters, which no stock model has"):
        stock.check_insertions(run, [Lora(2, 4.0), Bottleneck(3, 16)], injected=False)
    with pytest.raises(UserError, match="strategy adapter puts modules of the peft package into the model"):
        stock.check_insertions(run, [], injected=True)


@pytest.mark.parametrize(
    ("ours", "config", "kind", "theirs"),
    [
        ("encoder.layer.0.output.dense.bias", BERT, "pair", "bert.encoder.layer.0.output.dense.bias"),
        ("head.out.weight", BERT, "pair", "classifier.weight"),
        ("head.dense.bias", ROBERTA, "pair", "classifier.dense.bias"),
        ("head.out.bias", ROBERTA, "pair", "classifier.out_proj.bias"),
        ("head.out.bias", ROBERTA, "token", "classifier.bias"),
        ("head.norm.weight", MODERN, "pair", "head.norm.weight"),
    ],
)
def test_names_in_the_stock_model(ours: str, config: dict[str, Any], kind: str, theirs: str) -> None:
    assert stock.name(ours, config, kind, "bert") == theirs
