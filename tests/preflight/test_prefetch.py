"""What `prefetch` fetched from a hub is all that a node without a network needs: the recipe then runs there."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peftcli.tasks import registry as tasks
from tests import folders, hub_server
from tests.hub_server import COMMIT, peftcli
from tests.material import write_split

RECIPE = """
title: two tasks on a model from the hub
model: someone/tiny
tasks: [wnli, cb]
strategies: [layernorm]
learning_rates: [1e-3]
seeds: 1
training: {steps: 2, batch_size: 4}
"""
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def columns(task: tasks.Task, split: str) -> dict[str, list[Any]]:
    """Rows with as many of every label as the task's row says."""
    labels = [label for label, count in enumerate(task.counts.get(split, ())) for _ in range(count)]
    labels = labels or [-1] * task.sizes[split]
    texts = [f"row {number} of words" for number in range(len(labels))]
    return {**dict.fromkeys(task.text, texts), "idx": list(range(len(labels))), "label": labels}


def repositories(root: Path) -> hub_server.Repositories:
    """A model, GLUE's smallest task as published, and a SuperGLUE task on the converted branch."""
    folders.bert(root / "model")
    (root / "model" / "pytorch_model.bin").write_bytes(b"never fetched beside safetensors")
    wnli, cb = tasks.get("wnli"), tasks.get("cb")
    for split in wnli.sizes:
        write_split(root / "glue" / "wnli", split, columns(wnli, split))
    write_split(root / "glue" / "cola", "train", {"sentence": ["not asked for"], "label": [0]})
    for split in cb.sizes:
        write_split(root / "made", split, columns(cb, split))
        (root / "super_glue" / "cb" / split).mkdir(parents=True)
        (root / "made" / f"{split}-00000-of-00001.parquet").rename(root / "super_glue" / "cb" / split / "0000.parquet")
    return {
        "models/someone/tiny": ("main", root / "model"),
        "datasets/nyu-mll/glue": ("main", root / "glue"),
        "datasets/aps/super_glue": ("refs/convert/parquet", root / "super_glue"),
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    """A cache that `prefetch` has filled, and what it said."""
    home = tmp_path_factory.mktemp("home")
    (home / "recipe.yaml").write_text(RECIPE)
    with hub_server.serve(repositories(tmp_path_factory.mktemp("hub"))) as address:
        yield home, peftcli("prefetch", "recipe.yaml", home=home, HF_ENDPOINT=address)


def test_prefetch_says_what_it_fetched_and_what_is_found_without_a_network(filled: tuple[Path, Any]) -> None:
    home, done = filled
    assert done.returncode == 0, done.stderr
    assert f"model someone/tiny main = {COMMIT}" in done.stdout
    assert f"data aps/super_glue refs/convert/parquet = {COMMIT}" in done.stdout
    for found in (
        "model someone/tiny",
        "tokenizer someone/tiny",
        "data wnli: 635 train, 71 validation",
        "data cb: 250 train",
    ):
        assert f"found without a network: {found}" in done.stdout
    names = {file.name for file in (home / "hub").rglob("*") if file.is_symlink() or file.is_file()}
    assert "test-00000-of-00001.parquet" in names
    assert "pytorch_model.bin" not in names
    assert not list((home / "hub").rglob("cola"))


@pytest.mark.whole  # the README's commands for a node without a network do it too
def test_the_recipe_runs_from_the_cache_alone(filled: tuple[Path, Any]) -> None:
    home, _ = filled
    done = peftcli("sweep", "recipe.yaml", "--output", "out", home=home, **OFFLINE)
    assert done.returncode == 0, done.stderr
    records = [json.loads(file.read_text()) for file in (home / "out").glob("[!.]*/*.json")]
    assert sorted(record["run"]["task"] for record in records) == ["cb", "wnli"]
    assert {record["status"] for record in records} == {"completed"}


def test_doctor_finds_all_of_it_offline(filled: tuple[Path, Any]) -> None:
    home, _ = filled
    done = peftcli("doctor", "recipe.yaml", "--output", "elsewhere", "--json", home=home, **OFFLINE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [item["ready"] for item in found["ready"]] == [True] * 4
    assert not found["machine"]["hub_reachable"]
    assert found["needs"]["runs_left"] == 2


def test_a_file_cut_short_is_missing(filled: tuple[Path, Any], tmp_path: Path) -> None:
    home, _ = filled
    shutil.copytree(home / "hub", tmp_path / "hub", symlinks=False)
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("[wnli, cb]", "[wnli]"))
    (weights,) = (tmp_path / "hub").rglob("snapshots/*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    done = peftcli("doctor", "recipe.yaml", home=tmp_path, **OFFLINE)
    assert done.returncode == 1
    assert "model.safetensors is cut short: it has" in done.stdout


@pytest.mark.parametrize("command", ["prefetch", "sweep"])
def test_a_gated_model_gets_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("[wnli, cb]", "[demo]"))
    with hub_server.serve({}, {"models/someone/tiny": (403, "GatedRepo")}) as address:
        done = peftcli(command, "recipe.yaml", home=tmp_path, HF_ENDPOINT=address)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"peftcli: model 'someone/tiny' is gated: accept its licence at {address}/someone/tiny and log in "
        "(hf auth login), or give a folder that holds it"
    )


def test_without_a_network_nothing_waits(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = peftcli("prefetch", "recipe.yaml", home=tmp_path, **nowhere)
    assert done.returncode == 2
    assert "prefetch needs a network for someone/tiny, nyu-mll/glue, aps/super_glue" in done.stderr
    code = (
        "import time, torch, transformers\nfrom peftcli.data import tokenizers\nfrom peftcli.engine import backbone\n"
        "from peftcli.models import files\n"
        "from peftcli.errors import UserError\n"
        "for act in (lambda: files.fetch_config('someone/other'),\n"
        "            lambda: tokenizers.load('someone/other', 'pair'),\n"
        "            lambda: backbone.load('someone/other', True, torch.float32, torch.device('cpu'))):\n"
        "    start = time.perf_counter()\n"
        "    try: act()\n"
        "    except UserError as error: print(time.perf_counter() - start, error)\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    root = str(Path(__file__).parents[2])
    begun = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **nowhere, "HF_HOME": str(tmp_path), "PYTHONPATH": root},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert time.perf_counter() - begun < 60
    lines = said.stdout.strip().splitlines()
    assert len(lines) == 3, said.stderr
    for line in lines:
        assert float(line.split()[0]) < 2
        assert "--model minilm" in line
        assert "peftcli prefetch" in line


@pytest.mark.whole  # processes that import all there is
def test_a_model_is_fetched_as_it_is_needed_where_there_is_a_network(tmp_path: Path) -> None:
    folders.bert(tmp_path / "model")
    (tmp_path / "other").mkdir()
    root = str(Path(__file__).parents[2])
    arguments = ("--model", "someone/tiny", "--task", "demo", "--strategy", "layernorm", "--max-train-samples", "8")
    code = "from peftcli.models import catalogue, files\n"
    code += "print(files.fetch_config('someone/tiny')['hidden_size'])\n"
    code += "print(catalogue.config('someone/tiny')['hidden_size'])"
    with hub_server.serve({"models/someone/tiny": ("main", tmp_path / "model")}) as address:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
            env={"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": address, "PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        trained = peftcli("train", *arguments, "--epochs", "1", home=tmp_path / "other", HF_ENDPOINT=address)
    assert done.stdout.split() == ["16", "16"], done.stderr
    assert trained.returncode == 0, trained.stderr
    assert "completed" in trained.stdout


@pytest.mark.whole  # several processes, each of which imports all there is
def test_a_pinned_model_is_that_commit_and_no_later_one(tmp_path: Path) -> None:
    """The commit is part of a run's name and id; what the hub calls `main` since then is not read."""
    folders.bert(tmp_path / "hub")
    home = tmp_path / "home"
    home.mkdir()
    pinned = f"someone/tiny@{COMMIT}"
    (home / "recipe.yaml").write_text(RECIPE.replace("someone/tiny", pinned).replace("[wnli, cb]", "[demo]"))
    with hub_server.serve({"models/someone/tiny": ("main", tmp_path / "hub")}) as address:
        done = peftcli("prefetch", "recipe.yaml", home=home, HF_ENDPOINT=address)
        assert done.returncode == 0, done.stderr
        assert f"model someone/tiny {COMMIT} = {COMMIT}: 4 files" in done.stdout
        assert f"found without a network: model {pinned}" in done.stdout
    later = home / "hub/models--someone--tiny/snapshots" / ("e" * 40)
    shutil.copytree(later.with_name(COMMIT), later, symlinks=False)
    (later / "model.safetensors").write_bytes(b"not what was pinned")
    (home / "hub/models--someone--tiny/refs").mkdir(exist_ok=True)
    (home / "hub/models--someone--tiny/refs/main").write_text("e" * 40)
    done = peftcli("sweep", "recipe.yaml", "--output", "out", home=home, **OFFLINE)
    assert done.returncode == 0, done.stderr
    (record,) = [json.loads(file.read_text()) for file in (home / "out").glob("[!.]*/*.json")]
    assert (record["status"], record["run"]["model"]) == ("completed", pinned)
    (home / "recipe.yaml").write_text((home / "recipe.yaml").read_text().replace(COMMIT, "c" * 40))
    done = peftcli("sweep", "recipe.yaml", "--output", "out", home=home, **OFFLINE)
    assert done.returncode == 2
    assert f"'someone/tiny@{'c' * 40}' is not in the local hub cache" in done.stderr
