"""The doctor's numbers: what is there, what a sweep needs, what would stop it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from peftcli.cli import app as cli
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import parameters, recipe
from peftcli.preflight import doctor
from peftcli.tasks import registry as tasks
from tests import folders

TEXT = """
title: a small sweep
model: MODEL
tasks: [demo]
strategies: [layernorm, full]
learning_rates: [1e-3, 1e-4]
seeds: 3
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folders.bert(tmp_path / "model")
    (tmp_path / "recipe.yaml").write_text(TEXT.replace("MODEL", str(tmp_path / "model")))
    return tmp_path


def test_needs_are_those_of_the_widest_cohort(small: Path) -> None:
    found = doctor.needs(recipe.load(small / "recipe.yaml"), small / "out", size=4)
    model = str(small / "model")
    columns = parameters.columns(model, "full", {}, "pair", 2)
    assert found["runs"] == found["runs_left"] == 12
    assert found["values_bytes"] == 16 * sizing.limit(4, columns) * columns
    assert found["weights_bytes"] == 4 * parameters.count(model, "full", {}, "pair", 2).total
    size = tasks.get("demo").sizes["validation"]
    assert found["record_bytes"] == 12 * (doctor.RECORD_BYTES + size * (4 * 2 + 16))


def test_records_are_no_larger_than_estimated(small: Path) -> None:
    arguments = ["--output", str(small / "out"), "--only", "strategy=layernorm", "--only", "seed=0"]
    settings = ["--set", "epochs=2", "--set", "max_train_samples=16"]
    done = CliRunner().invoke(cli.app, ["sweep", str(small / "recipe.yaml"), *arguments, *settings])
    assert not done.exception, done.output
    made = recipe.load(small / "recipe.yaml", {"epochs": 2, "max_train_samples": 16})
    written = [file.stat().st_size for file in (small / "out").rglob("*") if file.is_file()]
    before, after = doctor.needs(made, small / "other"), doctor.needs(made, small / "out")
    assert (before["runs_left"], after["runs_left"]) == (12, 10)
    assert 0 < sum(written) < before["record_bytes"] - after["record_bytes"]


def found(**changes: Any) -> dict[str, Any]:
    here = {"hub_reachable": False, "output": "out", "output_free_bytes": 1000, "free_memory_bytes": 1000}
    ready = [{"kind": "data", "name": "rte", "ready": False, "where": "not there", "on_hub": True}]
    wants = {"record_bytes": 10, "checkpoint_bytes": 10, "weights_bytes": 10, "values_bytes": 10}
    parts = {"machine": here, "ready": ready, "needs": wants}
    for name, change in changes.items():
        parts[name] = {**parts[name], **change}  # type: ignore[dict-item]
    return parts


def test_problems_are_what_would_stop_the_sweep() -> None:
    assert doctor.problems(found()) == ["data rte: not there"]
    assert doctor.problems(found(machine={"hub_reachable": True})) == []
    gone = [{"kind": "data", "name": "mine", "ready": False, "where": "not there", "on_hub": False}]
    assert doctor.problems({**found(machine={"hub_reachable": True}), "ready": gone}) == ["data mine: not there"]
    assert "disk: out has 1,000 bytes" in doctor.problems(found(needs={"record_bytes": 1001}))[1]
    assert "memory: 1,000 bytes are free" in doctor.problems(found(needs={"values_bytes": 1001}))[1]


def test_free_disk_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    assert doctor.free_disk(tmp_path / "not" / "there") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)


def test_memory_that_the_system_would_give_back_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MEMORY", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemFree:  10 kB\nMemAvailable:   500 kB\nCached: 490 kB\n")
    assert doctor.machine(tmp_path, "cpu")["free_memory_bytes"] == 500 * 1024
    (tmp_path / "meminfo").unlink()
    assert doctor.machine(tmp_path, "cpu")["free_memory_bytes"] > 0
