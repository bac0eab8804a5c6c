"""What the README says of data of one's own and of saved deltas, typed as a user types it."""

import json
from pathlib import Path

import pytest

from peftcli.cli import deltas as command
from peftcli.deltas.predicting import Prediction
from peftcli.records import beside
from peftcli.tasks import registry as tasks
from tests import commandline, folders, trained
from tests.commandline import Command

RECIPE = """
title: Which comments are about people
model: {model}
tasks:
  - {{name: comments, data: comments, text: [sentence1, sentence2], label: y, metric: f1}}
strategies: [layernorm, bitfit]
learning_rates: [1e-3, 5e-3]
seeds: 2
training: {{epochs: 2, batch_size: 8, max_length: 32}}
table: {{rows: strategy, columns: task}}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    folders.bert(folder / "base")
    (folder / "comments").mkdir()
    for split, count in (("train", 40), ("validation", 16)):
        lines = [f"{row['sentence1']},{row['sentence2']},{row['y']}" for row in trained.rows(split, count)]
        (folder / "comments" / f"{split}.csv").write_text("\n".join(["sentence1,sentence2,y", *lines]) + "\n")
    (folder / "comments.yaml").write_text(RECIPE.format(model=folder / "base"))
    return folder


@pytest.fixture
def peftcli(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in that folder, offline."""
    monkeypatch.chdir(work)
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(work / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return commandline.runner(monkeypatch, capsys)


def test_from_csv_files_to_a_table_a_model_and_predictions(peftcli: Command, work: Path) -> None:
    planned = json.loads(peftcli("plan", "comments.yaml", "--json").out)
    assert planned["states"]["missing"] == 8
    swept = peftcli("sweep", "comments.yaml", "--save-delta")
    assert swept.code == 0, swept.err
    assert "8 of 8 runs completed" in swept.err
    shown = peftcli("report", "comments.yaml", "--format", "markdown").out
    assert "comments" in shown
    assert "layernorm" in shown
    record = sorted((work / "results" / "comments").glob("bitfit-*.json"))[0]
    delta = str(beside.delta(record))
    evaluated = json.loads(peftcli("evaluate", delta, "--model", "base", "--data-dir", "comments", "--json").out)
    recorded = json.loads(record.read_text())["evaluations"][-1]
    assert evaluated["evaluations"] == [{k: v for k, v in recorded.items() if k not in ("step", "epoch")}]
    assert peftcli("apply", delta, "--model", "base", "--out", "model").code == 0
    config = json.loads((work / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "entailment", "1": "not_entailment"}
    predicted = peftcli("predict", delta, "--model", "base", "--input", "comments/validation.csv").out.splitlines()
    assert predicted[0] == "index\tprediction"
    assert len(predicted) == 17


def test_one_run_trained_with_a_delta(peftcli: Command, work: Path) -> None:
    small = ("--model", "./base", "--max-train-samples", "16", "--epochs", "1", "--max-length", "32", "--output", "one")
    assert peftcli("train", "--strategy", "layernorm", "--task", "demo", *small, "--save-delta").code == 0
    (delta,) = (work / "one" / "demo").glob("layernorm-*.delta.safetensors")
    ended = peftcli("evaluate", str(delta), "--task", "demo", "--model", "base")
    recorded = json.loads(next((work / "one" / "demo").glob("layernorm-*.json")).read_text())["evaluations"][-1]
    assert ended.code == 0
    assert f"accuracy {recorded['accuracy']:.4f}" in ended.out


def test_what_is_applied_has_a_card(peftcli: Command, work: Path) -> None:
    small = (
        "--model",
        "./base",
        "--max-train-samples",
        "16",
        "--epochs",
        "1",
        "--max-length",
        "32",
        "--output",
        "card",
    )
    assert peftcli("train", "--strategy", "bitfit", "--task", "demo", *small, "--save-delta").code == 0
    (delta,) = (work / "card" / "demo").glob("bitfit-*.delta.safetensors")
    applied = peftcli("apply", delta, "--model", "base", "--out", "carded", "--license", "apache-2.0")
    assert (applied.code, applied.err.count("\n")) == (0, 1)
    card = (work / "carded" / "README.md").read_text()
    assert "license: apache-2.0\n" in card
    assert "| validation | accuracy | " in card
    # Once more into a folder that has a README.md already, by whomever.
    again = peftcli("apply", delta, "--model", "base", "--out", "carded")
    assert again.is_one_line
    assert (work / "carded" / "README.md").read_text() == card
    (work / "card" / "demo" / delta.name.replace(".delta.safetensors", ".json")).unlink()
    alone = peftcli("apply", delta, "--model", "base", "--out", "alone")
    assert alone.code == 0
    assert alone.err.startswith("the model card has no metrics: no record of the run was at hand\n")
    assert "license: unknown\n" in (work / "alone" / "README.md").read_text()


@pytest.mark.parametrize(
    ("license", "says"),
    [("Apache 2.0", "did you mean 'apache-2.0'?"), ("MIT", "did you mean 'mit'?"), ("|", "such as apache-2.0"),
     ("a\nb", "did you mean 'a-b'?"), ("", "--license")],
)  # fmt: skip
def test_a_licence_that_the_hub_cannot_have_is_refused(license: str, says: str, peftcli: Command) -> None:
    ended = peftcli("apply", "gone.safetensors", "--out", "x", "--license", license)
    assert ended.is_one_line
    assert says in ended.err


def test_mistakes_are_one_line(peftcli: Command, work: Path) -> None:
    (work / "bad.yaml").write_text(RECIPE.format(model=work / "base").replace("label: y", "label: z"))
    for arguments, words in (
        (("plan", "bad.yaml"), "train.csv: unknown column 'z': known: sentence1, sentence2, y"),
        (("apply", "gone.safetensors", "--out", "x"), "delta gone.safetensors does not exist"),
        (("apply", "gone.safetensors", "--out", "x", "--format", "onnx"), "unknown value of --format 'onnx'"),
    ):
        ended = peftcli(*arguments)
        assert ended.is_one_line
        assert words in ended.err


def test_numbers_labels_and_limits_as_the_server_takes_them() -> None:
    wnli = [Prediction(3, "entailment", None), Prediction(4, "not_entailment", None)]
    assert command.table(tasks.get("wnli"), wnli) == "index\tprediction\n3\t1\n4\t0\n"
    assert command.table(tasks.get("rte"), wnli) == "index\tprediction\n3\tentailment\n4\tnot_entailment\n"
    scores = [Prediction(0, -1.5, None), Prediction(1, 6.0, None), Prediction(2, 2.25, None)]
    assert command.table(tasks.get("stsb"), scores) == "index\tprediction\n0\t0.000000\n1\t5.000000\n2\t2.250000\n"
