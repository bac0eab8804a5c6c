"""What the README says of data of one's own and of saved deltas, typed as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import folders, trained

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


def peftcli(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, offline."""
    own = {
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "PEFTCLI_CACHE_DIR": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "peftcli", *arguments]
    return subprocess.run(command, cwd=work, env={**os.environ, **own}, capture_output=True, text=True, check=False)


def test_from_csv_files_to_a_table_a_model_and_predictions(work: Path) -> None:
    planned = json.loads(peftcli(work, "plan", "comments.yaml", "--json").stdout)
    assert planned["states"]["missing"] == 8
    swept = peftcli(work, "sweep", "comments.yaml", "--save-delta")
    assert swept.returncode == 0, swept.stderr
    assert "8 of 8 runs completed" in swept.stderr
    shown = peftcli(work, "report", "comments.yaml", "--format", "markdown").stdout
    assert "comments" in shown
    assert "layernorm" in shown
    record = sorted((work / "results" / "comments").glob("bitfit-*.json"))[0]
    delta = str(record.with_suffix(".delta.safetensors"))
    base = ("--model", str(work / "base"))
    found = json.loads(peftcli(work, "evaluate", delta, *base, "--data-dir", "comments", "--json").stdout)
    recorded = json.loads(record.read_text())["evaluations"][-1]
    assert found["evaluations"] == [{k: v for k, v in recorded.items() if k not in ("step", "epoch")}]
    assert peftcli(work, "apply", delta, *base, "--out", "model").returncode == 0
    config = json.loads((work / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "entailment", "1": "not_entailment"}
    predicted = peftcli(work, "predict", delta, *base, "--input", "comments/validation.csv").stdout.splitlines()
    assert predicted[0] == "index\tprediction"
    assert len(predicted) == 17


def test_mistakes_are_one_line(work: Path) -> None:
    (work / "bad.yaml").write_text(RECIPE.format(model=work / "base").replace("label: y", "label: z"))
    for arguments, words in (
        (("plan", "bad.yaml"), "recipe bad.yaml: task comments: unknown column 'z'"),
        (("apply", "gone.safetensors", "--out", "x"), "delta gone.safetensors does not exist"),
        (("apply", "gone.safetensors", "--out", "x", "--format", "onnx"), "unknown value of --format 'onnx'"),
    ):
        done = peftcli(work, *arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert words in done.stderr
