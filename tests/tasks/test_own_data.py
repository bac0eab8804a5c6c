"""Custom tasks: what a recipe may say of them, what runs hold of them, and that every command works with them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli import records
from peftcli.data import loading
from peftcli.errors import UserError
from peftcli.experiment import plan, recipe
from peftcli.experiment.run import Run
from peftcli.report import parameters as parameter_rows
from peftcli.report import report as reporting
from peftcli.tasks import own_data
from tests import folders, trained
from tests.material import PAIRS, describe, write_table


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PEFTCLI_DATA_DIR", str(tmp_path))


def run(described: dict[str, Any]) -> Run:
    from tests.material import run as plain

    return plain("mine").model_copy(update={"data": described})


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
def test_every_kind_of_file_reads_the_same(suffix: str, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / "mine" / f"{split}{suffix}", PAIRS)
    described = describe(tmp_path)
    assert described["labels"] == ["no", "yes"]
    assert (described["kind"], described["metrics"]) == ("pair", ["accuracy", "f1"])
    corpus = loading.read(own_data.task("mine", described), tmp_path / "mine")
    assert corpus.rows["train"].columns == {name: [row[name] for row in PAIRS] for name in ("a", "b")}
    assert corpus.rows["validation"].labels.tolist() == [1, 0, 1, 0]


def test_labels_are_in_order_and_may_be_given(tmp_path: Path) -> None:
    for split in ("train", "dev"):
        write_table(tmp_path / "mine" / f"{split}.jsonl", [{"a": "x", "b": "z", "y": y} for y in (10, 9, 2)])
    assert describe(tmp_path)["labels"] == ["2", "9", "10"]
    assert describe(tmp_path, labels=[10, 9, 2])["labels"] == ["10", "9", "2"]
    corpus = loading.read(own_data.task("mine", describe(tmp_path, labels=[10, 9, 2])), tmp_path / "mine")
    assert corpus.rows["train"].labels.tolist() == [0, 1, 2]
    assert describe(tmp_path)["metrics"] == ["accuracy", "f1_macro"]
    assert describe(tmp_path, metric="f1_micro")["metrics"] == ["f1_micro", "accuracy", "f1_macro"]
    numbers = describe(tmp_path, kind="regression", metric="pearson")
    assert (numbers["labels"], numbers["metrics"][:2]) == ([], ["pearson", "spearman"])
    corpus = loading.read(own_data.task("mine", numbers), tmp_path / "mine")
    assert corpus.rows["train"].labels.tolist() == [10.0, 9.0, 2.0]


def test_a_run_holds_no_path_and_changed_data_is_another_run(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / "one" / "mine" / f"{split}.csv", PAIRS)
        write_table(tmp_path / "two" / "mine" / f"{split}.csv", PAIRS)
    one, two = describe(tmp_path / "one"), describe(tmp_path / "two")
    assert one == two
    assert str(tmp_path) not in json.dumps(one)
    assert run(one).id == run(two).id
    write_table(tmp_path / "two" / "mine" / "validation.csv", PAIRS[:3])
    assert run(describe(tmp_path / "two")).id != run(one).id
    model = folders.bert(tmp_path / "model")
    loading.prepare(run(one), str(model), tmp_path / "one" / "mine")
    with pytest.raises(UserError, match=r"task mine: .*two/mine is not the data of this run: its fingerprint is"):
        loading.prepare(run(one), str(model), tmp_path / "two" / "mine")
    with pytest.raises(UserError, match="--data-dir names its file or folder"):
        loading.prepare(run(one), str(model), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": ["a", "c"]}, "unknown column 'c': known: a, b, y"),
        ({"label_column": "z"}, "unknown column 'z': did you mean|unknown column 'z': known"),
        ({"metric": "f2"}, "unknown metric 'f2': did you mean 'f1'"),
        ({"metric": "pearson"}, "unknown metric 'pearson'"),
        ({"kind": "pairs"}, "unknown value 'pairs': did you mean 'pair'"),
        ({"kind": "sentence"}, "kind sentence with 2 text columns"),
        ({"data": "gone"}, "gone' does not exist: a file, or a folder with train and validation files"),
        ({"lable": "y"}, "unknown key 'lable': did you mean 'label'"),
        ({"labels": ["yes"]}, "labels"),
        ({"text": ["a", "b", "y"]}, "text"),
    ],
)
def test_what_a_recipe_says_wrongly(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_table(tmp_path / "mine" / f"{split}.csv", PAIRS)
    with pytest.raises(UserError, match=message) as error:
        describe(tmp_path, **options)
    assert "recipe x.yaml: task mine" in str(error.value) or "data '" in str(error.value)
    assert "label_column" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.csv", "a,b,y\n1,2,\n3,4,x\n", "column 'y' misses a label"),
        ("train.csv", "a,b,y\n1,2,0.5\n3,4,1\n", "kind: regression, or list labels"),
        ("train.csv", "a,b,y\n1,2,same\n", "has one label alone: 'same'"),
        ("train.txt", "x", "has no train file"),
    ],
)
def test_what_is_wrong_with_labels_and_names_of_files(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text(text)
    (tmp_path / "mine" / "validation.csv").write_text("a,b,y\n1,2,same\n")
    with pytest.raises(UserError, match=message) as error:
        describe(tmp_path)
    assert "\n" not in str(error.value)


def test_plan_params_sweep_and_report_work_with_it(tmp_path: Path) -> None:
    trained.write_rows(tmp_path / "mine")
    base = folders.bert(tmp_path / "base")
    task = {"name": "mine", "data": "mine", "text": ["sentence1", "sentence2"], "label": "y", "metric": "f1"}
    ended = trained.train(tmp_path, base, "bitfit", task, learning_rates=[1e-3, 1e-2], seeds=[0, 1])
    assert {record.status for record in ended} == {"completed"}
    assert set(ended[0].body["evaluations"][0]) >= {"f1", "accuracy"}
    assert ended[0].body["data"]["sizes"] == {"train": 32, "validation": 24}
    assert str(tmp_path) not in json.dumps(ended[0].body)
    loaded = recipe.load(tmp_path / "recipe.yaml")
    assert set(records.states([p.run for p in plan.expand(loaded)], tmp_path / "results").values()) == {"completed"}
    assert parameter_rows.rows(loaded)[0]["head"] == 2 * 16 + 2
    shown = json.loads(reporting.report(loaded, tmp_path / "results", "json", False, False))
    best = max(
        np.mean([r.body["evaluations"][-1]["f1"] for r in ended if r.body["run"]["learning_rate"] == rate])
        for rate in (1e-3, 1e-2)
    )
    assert f'"mean": {100 * best:.6f}'[:14] in json.dumps(shown)


def test_a_recipe_with_a_metric_that_the_task_lacks(tmp_path: Path) -> None:
    trained.write_rows(tmp_path / "mine")
    task = {"name": "mine", "data": "mine", "text": "sentence1", "label": "y"}
    file = folders.recipe(tmp_path / "x.yaml", Path("minilm"), tasks=[task], training={"metric": "pearson"})
    with pytest.raises(UserError, match=r"task mine: unknown metric 'pearson': .*known: accuracy, f1"):
        plan.expand(recipe.load(file))


def test_planning_imports_nothing_heavy(tmp_path: Path) -> None:
    trained.write_rows(tmp_path / "mine")
    task = {"name": "mine", "data": "mine", "text": "sentence1", "label": "y"}
    file = folders.recipe(tmp_path / "x.yaml", Path("bert-base-uncased"), tasks=[task])
    heavy = "{'torch', 'transformers', 'pandas', 'scipy'}"
    code = (
        "import sys; from pathlib import Path; from peftcli.experiment import plan, recipe\n"
        f"assert plan.expand(recipe.load(Path({str(file)!r})))\nassert not {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
