"""Runs in trackio's local store, read with its own reader: the numbers of the records, once, in one run a run."""

import subprocess
import sys
import warnings
from importlib.util import find_spec

import pytest

from peftcli.runner.trackers import process
from tests.runner import tracked


@pytest.mark.skipif(find_spec("trackio") is None, reason="needs the extra trackio")
def test_a_run_that_goes_on_is_one_run_with_the_record_s_numbers(lives, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))  # read when the library is imported
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # is as it was, after the test
    for lines in lives.lines:
        process.follow("trackio", tmp_path, lines)
    from trackio.sqlite_storage import SQLiteStorage

    stored = SQLiteStorage.get_run_records("r")
    assert len(stored) == len(lives.records) == 3
    for record in lives.records:
        name = f"{record.run.describe()} {record.id[:8]}"
        (run,) = [each for each in stored if each["name"] == name]
        config = SQLiteStorage.get_run_config("r", name, run_id=run["id"])
        assert config is not None
        settings = {"record": record.id, "_Group": "layernorm", "learning_rate": record.run.learning_rate}
        assert settings.items() <= config.items()
        seen: tracked.Curves = {}
        for row in SQLiteStorage.get_logs("r", name, run_id=run["id"]):
            for key, value in row.items():
                if key not in ("step", "timestamp"):
                    seen.setdefault(key, []).append((row["step"], value))
        tracked.assert_same(seen, tracked.curves(record) | tracked.once(record))


@pytest.mark.skipif(find_spec("trackio") is None, reason="needs the extra trackio")
def test_a_store_that_cannot_be_written_is_an_error(lives, tmp_path, environment):
    done = subprocess.run(
        [sys.executable, "-m", process.__name__, "trackio", str(tmp_path)], input=b"".join(lives.lines[0]),
        env={**environment, "TRACKIO_DIR": "/proc/nowhere"}, capture_output=True, check=False,
    )  # fmt: skip
    assert "No such file or directory: '/proc/nowhere'" in done.stdout.decode()
    assert len(done.stdout.splitlines()) == 1
