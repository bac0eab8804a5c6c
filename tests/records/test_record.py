"""A record is read back as it was written or not at all, and is the old one or the new one whatever happens."""

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from peftcli import records
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.records import Unreadable
from tests import faults, tiny

RUN = tiny.run("lora", seed=3)
OTHER = tiny.run("lora", seed=4)


def body(loss: float = 0.25, **changes: Any) -> dict[str, Any]:
    return {
        "status": "completed",
        "parameters": {"total": 10, "trainable": 2, "head": 1, "trainable_percent": 20.0},
        "training": [{"step": 1, "epoch": 0.5, "loss": loss, "learning_rate": 1e-3}],
        "evaluations": [{"step": 1, "epoch": 0.5, "split": "validation", "loss": 0.1 + 0.2, "accuracy": 1 / 3}],
        "cost": {"seconds": 1.5, "steps": 1, "tokens": 7, "peak_memory_bytes": None, "cohort": 1},
        "environment": {"device": "cpu", "machine": "Größe"},
        "data": {"fingerprint": "f", "sizes": {"train": 2}},
        "error": None,
        **changes,
    }


def encoded(**changes: Any) -> bytes:
    """A record of the run with a sound checksum, whatever it says."""
    return records.encode({"schema": 1, "id": RUN.id, "run": RUN.model_dump(), **body(), **changes})


def test_a_record_reads_back_with_the_same_numbers(tmp_path: Path) -> None:
    file = records.write(tmp_path, RUN, body())
    found = records.read(file)
    assert file == tmp_path / "tiny" / f"lora-{RUN.id}.json"
    assert {key: found.body[key] for key in body()} == body()
    assert (found.id, found.status, found.done) == (RUN.id, "completed", True)
    assert Run.model_validate(found.body["run"]) == RUN
    assert found.body["evaluations"][0]["loss"] == 0.1 + 0.2


def test_its_checksum_is_that_of_the_file_without_it(tmp_path: Path) -> None:
    text = records.write(tmp_path, RUN, body()).read_text()
    digest = json.loads(text)["sha256"]
    assert hashlib.sha256(text.replace(f'\n "sha256": "{digest}",', "").rstrip("\n").encode()).hexdigest() == digest
    assert text == encoded().decode()


@pytest.mark.parametrize(("status", "done"), [("completed", True), ("diverged", True), ("failed", False)])
def test_a_failed_run_is_not_done(tmp_path: Path, status: str, done: bool) -> None:
    assert records.read(records.write(tmp_path, RUN, body(status=status))).done == done


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_every_damaged_record_is_refused(tmp_path: Path, damage: str) -> None:
    file, generator = records.write(tmp_path, RUN, body()), random.Random(damage)
    sound = file.read_bytes()
    for number in range(300):
        data = bytearray(sound)
        if damage == "truncated":
            del data[len(data) - 1 - number if number < 100 else generator.randrange(len(data)) :]
        else:
            data[number if number < 150 else generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        file.write_bytes(data)
        with pytest.raises(Unreadable):
            records.read(file)
        with pytest.raises(UserError, match="move it away to train this run again"):
            records.find(tmp_path, RUN)
        assert records.read_all(tmp_path)[0] == []
        assert [path for path, _ in records.read_all(tmp_path)[1]] == [file]
    file.write_bytes(sound)
    assert records.find(tmp_path, RUN) is not None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not readable as JSON"),
        (b"null\n", "not a record"),
        (b"[]", "not a record"),
        (b"{}", "not a record"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (encoded() + b"\n", "checksum"),
        (encoded().replace(b"\n ", b"\n  "), "checksum"),
        (json.dumps(json.loads(encoded())).encode(), "checksum"),
        (encoded(status="done"), "status"),
        (encoded(schema=2), "schema"),
        (encoded(run=[]), "run"),
        (encoded(evaluations=None), "evaluations"),
        (encoded(evaluations=[1]), "evaluations"),
        (encoded(cost=3), "cost"),
        (encoded(error={}), "error"),
    ],
)
def test_what_is_no_record_is_named_and_skipped(tmp_path: Path, content: bytes, why: str) -> None:
    sound, foreign = records.write(tmp_path, OTHER, body()), tmp_path / "tiny" / "foreign.json"
    foreign.write_bytes(content)
    with pytest.raises(Unreadable, match=why):
        records.read(foreign)
    found, damaged = records.read_all(tmp_path)
    assert [record.path for record in found] == [sound]
    assert [path for path, _ in damaged] == [foreign]
    assert foreign.read_bytes() == content


def test_a_record_of_another_run_is_refused(tmp_path: Path) -> None:
    records.write(tmp_path, OTHER, body())
    records.path(tmp_path, OTHER).rename(records.path(tmp_path, RUN))
    with pytest.raises(UserError, match="holds another run under the same name"):
        records.find(tmp_path, RUN)
    records.path(tmp_path, RUN).write_bytes(encoded(run={"model": "tiny"}))
    with pytest.raises(UserError, match="holds another run under the same name"):
        records.find(tmp_path, RUN)


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "a/b", "..", "", ".hidden", "x" * 300, "a\x00b", "é"])
def test_names_cannot_leave_the_output_folder(tmp_path: Path, name: str) -> None:
    output = tmp_path / "results"
    run = RUN.model_copy(update={"task": name, "strategy": name})
    file = records.write(output, run, body())
    assert file.resolve().is_relative_to(output.resolve())
    assert len(file.relative_to(output).parts) == 2
    assert [record.path for record in records.read_all(output)[0]] == [file]


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_kill_leaves_the_old_or_the_new_record(tmp_path: Path, step: int) -> None:
    file = records.write(tmp_path, RUN, body(1.0, status="failed"))
    assert faults.killed(step, lambda: records.write(tmp_path, RUN, body(2.0)))
    renamed = step > faults.STEPS.index("rename")
    ((record,), damaged) = records.read_all(tmp_path)
    assert damaged == []
    assert (record.path, record.status) == (file, "completed" if renamed else "failed")
    assert record.body["training"][0]["loss"] == (2.0 if renamed else 1.0)


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_kill_during_a_first_record_leaves_none_or_all_of_it(tmp_path: Path, step: int) -> None:
    assert faults.killed(step, lambda: records.write(tmp_path, RUN, body()))
    found = records.find(tmp_path, RUN)
    assert (found is not None) == (step > faults.STEPS.index("rename"))


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_full_disk_leaves_the_old_or_the_new_record(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = records.write(tmp_path, RUN, body(1.0))
    with monkeypatch.context() as patch:
        faults.install(patch, step, faults.full)
        with pytest.raises(UserError, match="No space left on device"):
            records.write(tmp_path, RUN, body(2.0))
    loss = records.read(file).body["training"][0]["loss"]
    assert loss == (2.0 if step > faults.STEPS.index("rename") else 1.0)
    assert os.listdir(file.parent) == [file.name]
