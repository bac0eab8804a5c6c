"""Parameter counts by strategy stand beside the percentages and millions that the papers print."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import recipe
from peftcli.report import parameters


def rows(name: str, **options: Any) -> list[dict[str, Any]]:
    return parameters.rows(recipe.load(recipe.find(name)), **options)


def test_table_1_stands_beside_what_was_printed() -> None:
    counted = rows("transferability/table1")
    assert [row["published_percent"] for row in counted] == [100, 51.76, 25.89, 0.03, 0.02, 0.02, 0.12, 0.03, 0]
    for row in counted:
        if row["strategy"] != "bitfit":
            assert round(row["trainable_percent"], 2) == row["published_percent"], row
    bitfit = counted[6]
    assert round(bitfit["trainable_percent"], 2) == 0.09
    assert "30,522" in bitfit["note"]
    assert round(100 * (bitfit["trainable"] + 30_522) / bitfit["total"], 2) == 0.12


@pytest.mark.parametrize(("name", "digits"), [("table2", 2), ("table3", 3), ("table4", 4)])
def test_other_transferability_tables_print_the_paper_s_shares(name: str, digits: int) -> None:
    counted = [row for row in rows(f"transferability/{name}") if row["strategy"] != "bitfit"]
    assert len(counted) > 3
    for row in counted:
        assert round(row["trainable_percent"], digits) == row["published_percent"], row


def test_freezing_counts_the_classifier_s_elements_in_random() -> None:
    counted = {row["strategy"]: row for row in rows("freezing/table1")}
    assert counted["random"]["trainable_with_head"] == 108_311
    assert counted["random"]["head"] == 1_538
    assert counted["layernorm"]["trainable"] == 38_400
    assert counted["layernorm"]["total"] == 108_310_272
    assert f"{counted['layernorm']['trainable_percent']:.2f}" == "0.04"
    assert counted["layernorm"]["published_percent"] == 0.4
    assert counted["bitfit"]["trainable"] == counted["initbias_bitfit"]["trainable"] == 102_912
    assert counted["random"]["trainable_with_head"] == int(0.001 * (108_310_272 + 1_538))


SPAFIT = {
    "SPAFIT-8-12-I": 4_441_091, "SPAFIT-8-12-II": 5_882_883, "SPAFIT-8-16-II": 3_806_211, "SPAFIT-4-9-I": 5_650_435,
    "SPAFIT-4-9-II": 7_485_443, "SPAFIT-4-14-II": 4_889_603, "Full LoRA-I": 9_440_259, "Full LoRA-II": 12_585_987,
    "Full Fine-tuning": 333_579_264 + 3_075,
}  # fmt: skip


def test_spafit_with_a_three_label_head_prints_the_paper_s_millions() -> None:
    counted = {row["label"]: row for row in rows("spafit/table2")}
    assert {label: counted[label]["trainable_with_head"] for label in SPAFIT} == SPAFIT
    for label in SPAFIT:
        assert round(counted[label]["trainable_with_head"] / 1e6, 2) == counted[label]["published_millions"], label
    bitfit = counted["Full BitFit"]
    assert (bitfit["trainable"], bitfit["head"]) == (24 * 11_264, 3_075)
    assert bitfit["published_millions"] == 31.52
    assert "270,336" in bitfit["note"]
    assert rows("spafit/table2", labels=2)[0]["head"] == 2_050


def test_a_task_of_one_s_own_is_counted_with_its_labels(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        (tmp_path / f"{split}.csv").write_text("text,label\na,x\nb,y\nc,z\n")
    text = "title: x\ntasks: [{mine: {data: ., text: text}}]\nstrategies: [layernorm]\nlearning_rates: [1e-3]\n"
    file = tmp_path / "x.yaml"
    file.write_text(text + "seeds: 1\nmodel: bert-base-cased\n")
    assert parameters.rows(recipe.load(file))[0]["head"] == 3 * 769
    assert parameters.rows(recipe.load(file), labels=45)[0]["head"] == 45 * 769


def test_the_head_is_that_of_the_first_task() -> None:
    assert rows("transferability/table2")[0]["head"] == 46 * 769  # the treebank's tags
    assert rows("transferability/table2", labels=9)[0]["head"] == 9 * 769
    assert {row["head"] for row in rows("transferability/table1")} == {1_538}


def test_counting_planning_and_reading_import_nothing_heavy() -> None:
    code = (
        "import sys; from peftcli.experiment import plan, recipe;from peftcli.report import parameters;"
        "r = recipe.load(recipe.find('transferability/table1')); plan.expand(r); parameters.rows(r);"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'transformers', 'datasets', 'matplotlib', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
