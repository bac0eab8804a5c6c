"""Runs in Weights & Biases' offline mode, read from its files with its own messages: the numbers of the records, once."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peftcli.runner.trackers import process
from tests.runner import tracked

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

from wandb.proto import wandb_internal_pb2  # noqa: E402

BLOCK, HEADER = 32768, 7  # bytes, of LevelDB's log format, in which the library writes


def messages(file: Path) -> Iterator[Any]:
    """The records in a run's file: pieces with a checksum, a length and a type, whole or first, middle and last."""
    data, at, parts = file.read_bytes(), HEADER, b""
    while at < len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        parts += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""


def items(update: Any) -> dict[str, Any]:
    """What an update says, by name."""
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in update}


def test_a_run_that_goes_on_has_one_id_and_the_record_s_numbers(lives, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    for lines in lives.lines:
        process.follow("wandb", tmp_path, lines)
    for record in lives.records:
        files = sorted((tmp_path / "wandb").glob(f"offline-run-*-{record.id}/run-{record.id}.wandb"))
        assert len(files) == 2  # a folder a life, under one id: uploaded, they are one run
        told = [message for file in files for message in messages(file)]
        run = next(message.run for message in told if message.HasField("run"))
        assert (run.run_id, run.project, run.run_group) == (record.id, "r", "layernorm")
        assert run.display_name == f"{record.run.describe()} {record.id[:8]}"
        settings = {"record": record.id, "recipe": "r", "learning_rate": record.run.learning_rate, "training.steps": 10}
        assert settings.items() <= items(run.config.update).items()
        seen: tracked.Curves = {}
        for row in (items(message.history.item) for message in told if message.HasField("history")):
            for name, value in row.items():
                if name != "step" and not name.startswith("_"):
                    seen.setdefault(name, []).append((row["step"], value))
        tracked.assert_same(seen, tracked.curves(record))
        summary: dict[str, Any] = {}
        for message in told:
            if message.HasField("summary"):
                summary |= items(message.summary.update)
        assert summary["status"] == "completed"
        for name, [(_, value)] in tracked.once(record).items():
            assert summary[name] == pytest.approx(value)
        assert [message.exit.exit_code for message in told if message.HasField("exit")] == [1, 0]


def test_a_project_s_name_has_no_signs_that_are_refused(monkeypatch):
    started = []
    module = process.importlib.import_module("peftcli.runner.trackers.wandb")
    monkeypatch.setattr(
        module.WandbRun, "start", lambda self: started.append(self.run_name) or setattr(self, "run", self)
    )
    monkeypatch.setattr(module.WandbRun, "define_metric", lambda *_, **__: None, raising=False)
    story = json.loads('{"id": "i", "name": "n", "recipe": "transferability/table3", "group": "g", "settings": {}}')
    module.start(type("Told", (), story))
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    module.start(type("Told", (), story))
    assert started == ["transferability-table3", "mine"]
