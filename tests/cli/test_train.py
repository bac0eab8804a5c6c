"""`peftcli train`: the same bits twice, runs of their own a seed, and the learning rate that a strategy gets unasked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peftcli.cli import train
from peftcli.experiment.run import Run
from peftcli.records import beside
from tests import commandline, written_records
from tests.commandline import Command


def without_times(path: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(path.read_text())
    body.pop("sha256")
    for varying in ("seconds", "peak_memory_bytes", "ended"):  # the memory of a process is what else it holds, too
        body["cost"].pop(varying)
    return body


def test_training_twice_gives_the_same_bits(
    tiny_folder: Path, environment: dict[str, str], peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", "--task", "demo", "--model", str(tiny_folder), "--strategy", "random:count=300"]
    arguments += ["--lr", "1e-3", "--set", "steps=5", "--seed", "3", "--output", str(tmp_path)]
    # The first in a process of its own, the second in this one, with whatever other tests have left in it.
    command = [sys.executable, "-m", "peftcli", *arguments]
    first = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "accuracy" in first.stdout
    (file,) = tmp_path.rglob("*.json")
    predictions = beside.predictions(file)
    before, bytes_before = without_times(file), predictions.read_bytes()
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", environment["PEFTCLI_CACHE_DIR"])
    assert "already recorded" in peftcli(*arguments).err
    assert without_times(file) == before
    stamp = os.stat(file).st_mtime_ns
    assert peftcli(*arguments, "--again").code == 0
    assert os.stat(file).st_mtime_ns != stamp
    assert without_times(file) == before
    assert predictions.read_bytes() == bytes_before


def test_seeds_make_runs_of_their_own(
    tiny_folder: Path, tmp_path: Path, peftcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    arguments = ["--task", "demo", "--model", tiny_folder, "--strategy", "layernorm", "--set", "steps=3"]
    ended = peftcli("train", *arguments, "--seed", "0", "--seed", "1", "--output", tmp_path / "results")
    files = list((tmp_path / "results").rglob("*.json"))
    assert (ended.code, len(files)) == (0, 2)
    losses = [json.loads(file.read_text())["training"][0]["loss"] for file in files]
    assert losses[0] != losses[1]
    assert ended.out.count("completed") == 2


def planned(strategy: str, *overrides: str, model: str = "bert-base-uncased", rate: str | None = None) -> list[Run]:
    return train.plan_runs(strategy, "rte", model, rate, ["0"], list(overrides))


@pytest.mark.parametrize("model", ["bert-base-uncased", "someone/never-fetched"])
@pytest.mark.parametrize(
    ("strategy", "rate"),
    [
        ("full", 5e-5),
        ("feedforward:layers=5-8", 5e-5),
        ("diffpruning", 5e-5),
        ("magpruning", 1e-3),
        ("magpruning:burn_in=500", 5e-5),
        ("layernorm", 1e-3),
        ("random:count=300", 1e-3),
        ("lora", 1e-3),
        ("spafit:groups=4-9", 1e-3),
        ("frozen", 1e-3),
    ],
)
def test_the_learning_rate_is_lower_where_whole_matrices_move(
    strategy: str, rate: float, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert [run.learning_rate for run in planned(strategy, model=model)] == [rate]


def test_a_model_of_unknown_sizes_is_asked_of_layers_that_the_usual_one_lacks() -> None:
    assert planned("feedforward:layers=20", model="someone/never-fetched")[0].learning_rate == 5e-5
    # More outliers than any stand-in has: refused once the model is there, not before.
    assert planned("layernorm_outlier:n=100000", model="someone/never-fetched")[0].learning_rate == 1e-3


def test_a_learning_rate_that_is_asked_for_is_taken() -> None:
    assert planned("full", rate="1e-3")[0].learning_rate == 1e-3


def test_a_recorded_run_is_shown_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = planned("layernorm", "epochs=1")
    scores = {"validation": {"accuracy": 0.25, "collapsed": True}}
    file = written_records.write(tmp_path, run, scores)
    command = ["train", "--task", "rte", "--strategy", "layernorm", "--epochs", "1", "--output", tmp_path]
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    process = commandline.fresh(command)
    assert (process.code, process.heavy) == (0, ())
    not_compared, recorded = process.err.splitlines()
    assert not_compared.startswith("records not compared with what is here now: the data of task rte is not in the ")
    assert recorded == f"already recorded ({run.describe()}): {file}; --again trains it anew"
    assert process.out.splitlines() == [
        f"{run.describe()}: completed",
        "  validation   accuracy 0.2500  loss 0.5000  (one answer for every example)",
        "  1,000 of 1,000,000 weights trained (0.1000 %)",
        f"  {file}",
    ]
