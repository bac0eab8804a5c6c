"""Sweeps of data of one's own find each other's runs, whatever order a process has for its sets."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import folders
from tests.material import write_table

# What is in sets on the way to a run's id: labels of every kind, some of them equal numbers.
LABELS: dict[str, list[Any]] = {
    "numbers": ["0", "0.0", "1", "1.0", "01", "2e0", "2"],
    "words": ["None", "nan", "1e5", "yes", "no", "Straße", "a b"],
    "tags": [["O", "B-PER", "I-PER"], ["B-ORG", "O"], ["nn", "NN"]],
}


def recipe(folder: Path, model: Path) -> Path:
    tasks = []
    for name, labels in LABELS.items():
        rows = [{"a": ["x"] * len(y) if isinstance(y, list) else "x", "y": y} for y in labels]
        for split in ("train", "validation"):
            write_table(folder / name / f"{split}.jsonl", rows)
        kind = {"kind": "token"} if name == "tags" else {}
        tasks.append({"name": name, "data": name, "text": "a", "label": "y", **kind})
    training = {"epochs": 1, "batch_size": 4, "max_length": 16}
    small = {"strategies": ["frozen"], "learning_rates": [1e-3], "seeds": [0], "training": training}
    return folders.recipe(folder / "mine.yaml", model, tasks=tasks, **small)


def command(environment: dict[str, str], hash_seed: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "peftcli", *map(str, arguments)],
        env={**environment, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )


def states(environment: dict[str, str], hash_seed: int, file: Path) -> dict[str, str]:
    done = command(environment, hash_seed, "plan", file, "--output", file.parent / "results", "--json")
    return {planned["id"]: planned["state"] for planned in json.loads(done.stdout)["plan"]}


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.whole)])
def test_every_process_has_the_same_ids(
    count: int, tiny_folder: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    file = recipe(tmp_path, tiny_folder)
    planned = [states(environment, hash_seed, file) for hash_seed in range(count)]
    assert len(planned[0]) == len(LABELS)
    assert planned == [planned[0]] * count


def test_a_sweep_finds_the_runs_of_another_process(
    tiny_folder: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    file = recipe(tmp_path, tiny_folder)
    command(environment, 1, "sweep", file, "--output", tmp_path / "results")
    records = {record.name: record.stat().st_mtime_ns for record in (tmp_path / "results").rglob("*.json")}
    assert set(states(environment, 2, file).values()) == {"completed"}
    command(environment, 3, "sweep", file, "--output", tmp_path / "results")
    assert {record.name: record.stat().st_mtime_ns for record in (tmp_path / "results").rglob("*.json")} == records
    assert len(records) >= len(LABELS)
