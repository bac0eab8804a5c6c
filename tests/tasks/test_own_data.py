"""Custom tasks: what a recipe may say of them, what runs hold of them, and that every command works with them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli import records
from peftcli.data import loading, notes
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
        ("train.txt", "x", "has no train file: .*; it holds train.txt, validation.csv"),
        ("train.csv.gz", "x", "has no train file: .*; it holds train.csv.gz, validation.csv"),
        ("train.csv", "a,y\n1,no\n2,yes\n", "train.csv: unknown column 'b': .*known: a, y"),
        ("train.csv", "a,b,y\n1,2,no\n3,4,yes\n", "label 'same' .* is in no training row: mend"),
    ],
)
def test_what_is_wrong_with_labels_and_names_of_files(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text(text)
    (tmp_path / "mine" / "validation.csv").write_text("a,b,y\n1,2,same\n")
    with pytest.raises(UserError, match=message) as error:
        describe(tmp_path)
    assert "\n" not in str(error.value)


def write_labels(folder: Path, train: list[Any], validation: list[Any], suffix: str = ".jsonl") -> None:
    for split, labels in (("train", train), ("validation", validation)):
        rows = [{"a": f"t{at}", "b": "x", "y": label} for at, label in enumerate(labels)]
        write_table(folder / "mine" / f"{split}{suffix}", rows)


def classes(folder: Path, split: str, **options: Any) -> list[int]:
    task = own_data.task("mine", describe(folder, **options))
    return loading.read(task, folder / "mine").rows[split].labels.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
@pytest.mark.parametrize(
    ("train", "validation", "names", "answers"),
    [
        (["0", "1"], ["0.0", "1.0"], ["0", "1"], [0, 1]),
        ([0, 1, 10], [1e1, 0.0], ["0", "1", "10"], [2, 0]),
        (["1.0", "0.0"], ["0", "01"], ["0", "1"], [0, 1]),
        (["1.0", "0.0"], ["1.0", "0.0"], ["0.0", "1.0"], [1, 0]),
        (["1e5", "2"], ["100000", "2.00"], ["2", "1e5"], [1, 0]),
    ],
)
def test_equal_numbers_are_one_label(
    train: list[Any], validation: list[Any], names: list[str], answers: list[int], suffix: str, tmp_path: Path
) -> None:
    write_labels(tmp_path, train, validation, suffix)
    described = describe(tmp_path)
    assert sorted(described["labels"], key=float) == described["labels"]
    assert [float(name) for name in described["labels"]] == [float(name) for name in names]
    assert classes(tmp_path, "validation") == answers
    listed = [float(name) for name in names]
    assert classes(tmp_path, "validation", labels=listed) == answers


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize(
    "words",
    [["None", "nan"], ["NA", "null"], ["inf", "-inf"], ["yes", "no"], ["on", "off"], ["1e5", "a1f"], ["0.5", "half"]],
)
def test_labels_may_be_any_words(words: list[str], suffix: str, tmp_path: Path) -> None:
    write_labels(tmp_path, words, words[::-1], suffix)
    assert describe(tmp_path)["labels"] == sorted(words)
    assert classes(tmp_path, "train") == [sorted(words).index(word) for word in words]
    assert describe(tmp_path, labels=words)["labels"] == words


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (["good", "bad"], [" good", "bad"], r"label ' good' \(validation.jsonl, row 0 .* is in no training row, but 'good'"),
        (["true", "false"], ["false", "True"], r"label 'True' \(validation.jsonl, row 1 .* is in no training row, but 'true' "),
        ([True, False], ["true"], "label 'true' .* is in no training row, but 'True' "),
        (["Good", "bad"], ["good"], r"but 'Good' \(train.jsonl, row 0 from 0\): mend the files, or list what are classes"),
        (["é", "x"], ["e\u0301"], "is in no training row, but 'é'"),
        (["good", "bad"], ["good", "ugly"], r'label .ugly. \(validation.jsonl, row 1 .* labels: \["bad", "good", "ugly"\]$'),
        ([0, 1], [0, 2], "label '2' .* is in no training row: mend"),
        ([0, 1], [0, "?"], "label '\\?' .* is in no training row: mend"),
        (["good", "good ", "bad"], ["bad"], r"labels 'good' \(train.jsonl, row 0 from 0\) and 'good ' \(.*row 1.* differ in sp"),
        (["us", "US", "uk"], ["us"], "labels 'us' .* and 'US' .* differ in spelling"),
        (["0", "0.0", "x"], ["x"], "labels '0' .* and '0.0' .* differ in spelling"),
    ],
)  # fmt: skip
def test_labels_that_are_spelled_unlike(train: list[Any], validation: list[Any], message: str, tmp_path: Path) -> None:
    write_labels(tmp_path, train, validation)
    with pytest.raises(UserError, match=message) as error:
        describe(tmp_path)
    assert str(error.value).startswith("recipe x.yaml: task mine: ")
    # Listed, they are what the recipe says: the order that they would have had without the refusal.
    names = sorted(map(str, {*train, *validation}))
    assert describe(tmp_path, labels=names)["labels"] == names
    assert classes(tmp_path, "train", labels=names) == [names.index(str(label)) for label in train]


def test_what_is_odd_about_tags_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes.say.cache_clear()
    tags = {"train": [["O", "NN"], ["nn", "O"]], "validation": [["O"], ["B"]]}
    for split, rows in tags.items():
        write_table(tmp_path / "mine" / f"{split}.jsonl", [{"a": ["x"] * len(row), "y": row} for row in rows])
    assert describe(tmp_path, kind="token", text="a")["labels"] == ["B", "NN", "O", "nn"]
    assert classes(tmp_path, "train", kind="token", text="a") == [2, 1, 3, 2]
    assert capsys.readouterr().err == (
        "note: task mine: no training row has the labels 'B'\n"
        "note: task mine: labels 'NN', 'nn' look alike, and are a class each\n"
    )
    write_table(tmp_path / "mine" / "validation.jsonl", [{"a": ["x"], "y": ["o"]}])
    with pytest.raises(UserError, match=r"label 'o' .* is in no training row, but 'O'"):
        describe(tmp_path, kind="token", text="a")


def test_a_single_file_may_hold_out_all_rows_of_a_label(tmp_path: Path) -> None:
    rows = [{"a": f"t{at}", "b": "x", "y": "common" if at else "rare"} for at in range(20)]
    for rare in range(20):
        rows[rare]["y"], rows[rare - 1]["y"] = "rare", "common"
        write_table(tmp_path / "mine.csv", rows)
        assert describe(tmp_path, data="mine.csv")["labels"] == ["common", "rare"]


def test_null_in_a_list_of_labels_stands_in_quotes(tmp_path: Path) -> None:
    write_labels(tmp_path, ["null", "x"], ["x"])
    with pytest.raises(UserError, match="YAML reads null and ~ as nothing: a label of that name stands in quotes"):
        describe(tmp_path, labels=[None, "x"])
    assert classes(tmp_path, "train", labels=["null", "x"]) == [0, 1]


def test_ids_of_data_whose_labels_have_one_order_are_as_before(tmp_path: Path) -> None:
    expected = {
        ("no", "yes"): "a3033444a1d74ecc",
        ("9", "10"): "bac8ed760ca3b042",
        ("0.0", "1.0"): "1db4fdd67a17a976",
        ("False", "True"): "0e2fb3a7e290610a",
    }
    for names, run_id in expected.items():
        text = "a,b,y\n" + "".join(f"t{at},x,{name}\n" for at, name in enumerate(names))
        for split in ("train", "validation"):
            (tmp_path / "mine").mkdir(exist_ok=True)
            (tmp_path / "mine" / f"{split}.csv").write_text(text)
        assert describe(tmp_path)["labels"] == list(names)
        assert run(describe(tmp_path)).id == run_id


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
