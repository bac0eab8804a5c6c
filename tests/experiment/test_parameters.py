"""Counts of total, trainable and head parameters are the papers' printed ones, and need no weights."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment.parameters import count
from peftcli.models.published import PUBLISHED_SIZES

BERT, CASED, LARGE, ROBERTA = "bert-base-uncased", "bert-base-cased", "bert-large-cased", "roberta-base"


@pytest.mark.parametrize(
    ("strategy", "options", "trainable", "percent"),
    [
        ("full", {}, 109_482_240, "100.00"),
        ("feedforward", {}, 56_669_184, "51.76"),
        ("multihead", {}, 28_348_416, "25.89"),
        ("layernorm", {}, 36_864, "0.03"),
        ("layernorm_attention", {}, 18_432, "0.02"),
        ("layernorm_ffn", {}, 18_432, "0.02"),
        ("bitfit", {}, 102_912, "0.09"),
        ("random", {}, 36_864, "0.03"),
        ("frozen", {}, 0, "0.00"),
        ("layernorm", {"layers": [7]}, 3_072, "0.00"),
        ("layernorm_outlier", {"n": 256}, 6_144, "0.01"),
        ("layernorm_random", {"n": 4}, 96, "0.00"),
    ],
)
def test_transferability_on_bert_base(strategy: str, options: dict[str, Any], trainable: int, percent: str) -> None:
    counts = count(BERT, strategy, options, "sentence", 2)
    assert (counts.total, counts.trainable, counts.head) == (109_482_240, trainable, 1_538)
    assert f"{counts.trainable_percent:.2f}" == percent
    assert counts.trainable_percent == 100 * trainable / 109_482_240


def test_sts_b_s_head_has_one_output() -> None:
    assert count(BERT, "layernorm", {"layers": [1]}, "regression", 1).head == 769


def test_the_described_numbering_of_spafit_gives_other_counts() -> None:
    options = {"groups": [8, 12], "numbering": "described"}
    counts = count(LARGE, "spafit", options, "pair", 3)
    assert round((counts.trainable + counts.head) / 1e6, 2) == 4.84


SHARE = {"share": 0.005}


@pytest.mark.parametrize(
    ("strategy", "options", "trainable"),
    [
        ("full", {}, 124_645_632),
        ("random", {**SHARE, "draw": "bernoulli"}, 623_228),  # the expectation, 623,228.16
        ("random", SHARE, 623_228),
        ("sam", SHARE, 623_228),
        ("sam", {**SHARE, "choice": "tensor"}, 623_111),
        ("gradient", SHARE, 623_228),
        ("gradient", {**SHARE, "choice": "tensor"}, 623_111),
        ("magpruning", SHARE, 623_111),
        ("childpruning", SHARE, 623_111),
        ("diffpruning", SHARE, 623_111),  # the gates are aids of training
        ("mixout", {}, 124_645_632),
        ("mixout", {"when": "evaluation", "share": 0.995, "mixes": "everything"}, 623_228),
        # What is not mixed counts whole: all but twelve layers' six matrices and the pooler's.
        (
            "mixout",
            {"when": "evaluation", "share": 0.75},
            124_645_632 - round(0.75 * (12 * 12 * 768 * 768 + 768 * 768)),
        ),
        ("adapter", {}, 12 * (768 * 48 + 48 + 48 * 768 + 768)),
        ("adapter", {"wiring": "before_dropout"}, 12 * (768 * 48 + 48 + 48 * 768 + 768)),
        ("adapter", {"placement": "houlsby", "size": 64}, 24 * (768 * 64 + 64 + 64 * 768 + 768)),
        ("lora", {"rank": 8}, 12 * 2 * 8 * (768 + 768)),
        ("lora", {"rank": 4, "targets": ["intermediate"]}, 12 * 4 * (768 + 3072)),
    ],
)
def test_effectiveness_shares_of_roberta(strategy: str, options: dict[str, Any], trainable: int) -> None:
    counts = count(ROBERTA, strategy, options, "pair", 2, "pooled_dense")
    assert counts.total == 124_645_632
    assert counts.trainable == trainable
    assert counts.head == 768 * 768 + 768 + 2 * 768 + 2


def test_shares_of_tensors_are_floors_added_up() -> None:
    base = [(50265 * 768), (514 * 768), 768, 768, 768, 768 * 768, 768]  # embeddings and pooler
    layer = [768 * 768, 768] * 4 + [3072 * 768, 3072, 768 * 3072, 768] + [768] * 4
    assert sum(base + 12 * layer) == 124_645_632
    assert sum(size * 5 // 1000 for size in base + 12 * layer) == 623_111


def test_every_known_model_counts_for_every_kind_of_head() -> None:
    for model in PUBLISHED_SIZES:
        totals = {kind: count(model, "layernorm", {}, kind, 3) for kind in ("sentence", "choice", "span", "token")}
        sizes = PUBLISHED_SIZES[model]
        hidden = next(sizes[name] for name in ("hidden_size", "dim", "n_embd") if name in sizes)
        assert totals["token"].head == 3 * hidden + 3
        assert totals["span"].head == hidden + 1 + 3 * 2 * hidden + 3
        pooler = totals["sentence"].total - totals["token"].total
        assert pooler == (hidden * hidden + hidden if PUBLISHED_SIZES[model]["model_type"] in ("bert", "albert") else 0)


def test_bad_requests_are_refused() -> None:
    cases: list[tuple[str, str, dict[str, Any], str]] = [
        ("bert-base-uncasd", "full", {}, "did you mean 'bert-base-uncased'"),
        (BERT, "ful", {}, "did you mean 'full'"),
        (BERT, "layernorm", {"layers": [13]}, "layer 13 does not exist"),
        (BERT, "layernorm_outlier", {"n": 100_000}, "the nearest is 1536"),
    ]
    for model, strategy, options, message in cases:
        with pytest.raises(UserError, match=message):
            count(model, strategy, options, "sentence", 2)


def test_a_local_folder_s_config_is_enough(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "bert", "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2, "intermediate_size": 6,'
        ' "max_position_embeddings": 8, "type_vocab_size": 2}'
    )
    layer = 4 * (4 * 4 + 4) + (6 * 4 + 6) + (4 * 6 + 4) + 4 * 4
    counts = count(str(tmp_path), "layernorm", {}, "sentence", 2)
    assert counts.total == (10 + 8 + 2 + 2) * 4 + 2 * layer + 4 * 4 + 4
    assert counts.trainable == 2 * 4 * 4
