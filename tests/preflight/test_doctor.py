"""The doctor's numbers: what is there, what a sweep needs, what would stop it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from peftcli.cli import app as cli
from peftcli.cli import doctor as command
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


def printed(
    capsys: pytest.CaptureFixture[str], recipe: str | None, output: Path, as_json: bool = False
) -> tuple[str, int]:
    """Run the command; return what it printed and its exit code."""
    code = command.doctor(recipe, output, as_json=as_json)
    return capsys.readouterr().out, code


def test_what_is_printed(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, code = printed(capsys, str(small / "recipe.yaml"), small / "out")
    assert code == 0, text
    for part in (
        "device ",
        "precision ",
        "free",
        "ok         data demo",
        "12 of 12 runs are left",
        "for trained values",
    ):
        assert part in text
    as_json, _ = printed(capsys, str(small / "recipe.yaml"), small / "out", as_json=True)
    assert set(json.loads(as_json)) == {"machine", "ready", "needs", "notes", "problems"}
    alone, code = printed(capsys, None, small / "out", as_json=True)
    assert set(json.loads(alone)) == {"machine", "problems"}
    assert code == 0


def test_a_task_of_one_s_own_is_looked_at_too(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = small / "own.yaml", small / "mine"
    task = "[{name: mine, data: mine, text: text}]"
    file.write_text(TEXT.replace("MODEL", str(small / "model")).replace("[demo]", task))
    text, code = printed(capsys, str(file), small / "out")
    assert code == 1
    assert f"MISSING    data mine: data '{folder}' does not exist" in text
    assert "runs are left" not in text
    folder.mkdir()
    for split, count in (("train", 30), ("validation", 20)):
        lines = [f"some words,{'ab'[at % 2]}" for at in range(count)]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    text, code = printed(capsys, str(file), small / "out")
    assert code == 0
    assert f"ok         data mine: 30 train, 20 validation ({folder})" in text
    assert "12 of 12 runs are left" in text
    needs = doctor.needs(recipe.load(file), small / "out")
    assert needs["record_bytes"] == 12 * (doctor.RECORD_BYTES + 20 * (4 * 2 + 16))
    (folder / "train.csv").write_text("words,label\na,b\n")
    text, code = printed(capsys, str(file), small / "out")
    assert code == 1
    assert "MISSING    data mine: recipe own.yaml: task mine: unknown column 'text'" in text


def test_what_a_network_will_bring_is_no_problem(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "recipe.yaml").write_text(TEXT.replace("MODEL", "someone/else"))
    for answers, code, word in ((True, 0, "to fetch"), (False, 1, "MISSING ")):
        found = {**doctor.machine(small / "out"), "hub_reachable": answers}
        monkeypatch.setattr(doctor, "machine", lambda _, found=found: found)
        text, ended = printed(capsys, str(small / "recipe.yaml"), small / "out")
        assert ended == code
        assert f"{word}   model someone/else: not in the local hub cache" in text
