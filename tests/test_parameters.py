import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import recipe
from peftcli.experiment.parameters import count
from peftcli.models.catalogue import PUBLISHED_SIZES
from peftcli.report import parameters as parameter_rows

BERT, CASED, LARGE, ROBERTA = "bert-base-uncased", "bert-base-cased", "bert-large-cased", "roberta-base"


def rows(name: str, **options: Any) -> list[dict[str, Any]]:
    return parameter_rows.rows(recipe.load(recipe.find(name)), **options)


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


def test_table_1_stands_beside_what_was_printed() -> None:
    found = rows("transferability/table1")
    assert [row["published_percent"] for row in found] == [100, 51.76, 25.89, 0.03, 0.02, 0.02, 0.12, 0.03, 0]
    for row in found:
        if row["strategy"] != "bitfit":
            assert round(row["trainable_percent"], 2) == row["published_percent"], row
    bitfit = found[6]
    assert round(bitfit["trainable_percent"], 2) == 0.09
    assert "30,522" in bitfit["note"]
    assert round(100 * (bitfit["trainable"] + 30_522) / bitfit["total"], 2) == 0.12


@pytest.mark.parametrize(("name", "digits"), [("table2", 2), ("table3", 3), ("table4", 4)])
def test_other_transferability_tables_print_the_paper_s_shares(name: str, digits: int) -> None:
    found = [row for row in rows(f"transferability/{name}") if row["strategy"] != "bitfit"]
    assert len(found) > 3
    for row in found:
        assert round(row["trainable_percent"], digits) == row["published_percent"], row


def test_sts_b_s_head_has_one_output() -> None:
    assert count(BERT, "layernorm", {"layers": [1]}, "regression", 1).head == 769


def test_freezing_counts_the_classifier_s_elements_in_random() -> None:
    found = {row["strategy"]: row for row in rows("freezing/table1")}
    assert found["random"]["trainable_with_head"] == 108_311
    assert found["random"]["head"] == 1_538
    assert found["layernorm"]["trainable"] == 38_400
    assert found["layernorm"]["total"] == 108_310_272
    assert f"{found['layernorm']['trainable_percent']:.2f}" == "0.04"
    assert found["layernorm"]["published_percent"] == 0.4
    assert found["bitfit"]["trainable"] == found["initbias_bitfit"]["trainable"] == 102_912
    assert found["random"]["trainable_with_head"] == int(0.001 * (108_310_272 + 1_538))


SPAFIT = {
    "SPAFIT-8-12-I": 4_441_091, "SPAFIT-8-12-II": 5_882_883, "SPAFIT-8-16-II": 3_806_211, "SPAFIT-4-9-I": 5_650_435,
    "SPAFIT-4-9-II": 7_485_443, "SPAFIT-4-14-II": 4_889_603, "Full LoRA-I": 9_440_259, "Full LoRA-II": 12_585_987,
    "Full Fine-tuning": 333_579_264 + 3_075,
}  # fmt: skip


def test_spafit_with_a_three_label_head_prints_the_paper_s_millions() -> None:
    found = {row["label"]: row for row in rows("spafit/table2")}
    assert {label: found[label]["trainable_with_head"] for label in SPAFIT} == SPAFIT
    for label in SPAFIT:
        assert round(found[label]["trainable_with_head"] / 1e6, 2) == found[label]["published_millions"], label
    bitfit = found["Full BitFit"]
    assert (bitfit["trainable"], bitfit["head"]) == (24 * 11_264, 3_075)
    assert bitfit["published_millions"] == 31.52
    assert "270,336" in bitfit["note"]
    assert rows("spafit/table2", labels=2)[0]["head"] == 2_050


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
        ("magpruning", SHARE, 623_111),
        ("childpruning", SHARE, 623_111),
        ("diffpruning", SHARE, 623_111),  # the gates are aids of training
        ("mixout", {}, 124_645_632),
        ("mixout", {"when": "evaluation", "share": 0.995}, 623_228),
        ("adapter", {}, 12 * (768 * 48 + 48 + 48 * 768 + 768)),
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
        hidden = PUBLISHED_SIZES[model].get("hidden_size") or PUBLISHED_SIZES[model]["dim"]
        assert totals["token"].head == 3 * hidden + 3
        assert totals["span"].head == hidden + 1 + 3 * 2 * hidden + 3
        pooler = totals["sentence"].total - totals["token"].total
        assert pooler == (hidden * hidden + hidden if PUBLISHED_SIZES[model]["model_type"] in ("bert", "albert") else 0)


def test_a_task_of_one_s_own_is_counted_with_its_labels(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.csv").write_text("text,label\na,x\nb,y\nc,z\n")
    text = "title: x\ntasks: [{mine: {data: ., text: text}}]\nstrategies: [layernorm]\nlearning_rates: [1e-3]\n"
    file = tmp_path / "x.yaml"
    file.write_text(text + "seeds: 1\nmodel: bert-base-cased\n")
    assert parameter_rows.rows(recipe.load(file))[0]["head"] == 3 * 769
    assert parameter_rows.rows(recipe.load(file), labels=45)[0]["head"] == 45 * 769


def test_the_head_is_that_of_the_first_task() -> None:
    assert rows("transferability/table2")[0]["head"] == 46 * 769  # the treebank's tags
    assert rows("transferability/table2", labels=9)[0]["head"] == 9 * 769
    assert {row["head"] for row in rows("transferability/table1")} == {1_538}


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


def test_counting_planning_and_reading_import_nothing_heavy() -> None:
    code = (
        "import sys; from peftcli.experiment import plan, recipe;from peftcli.report import parameters as parameter_rows;"
        "r = recipe.load(recipe.find('transferability/table1')); plan.expand(r); parameter_rows.rows(r);"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'transformers', 'datasets', 'matplotlib', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
