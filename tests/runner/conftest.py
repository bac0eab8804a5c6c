"""A clock that is set by hand, and a recipe that trains in seconds."""

from pathlib import Path

import pytest

from tests import folders


class Clock:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that `time.monotonic` reads."""
    return Clock(monkeypatch)


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs of one strategy, ten steps each, that make one cohort."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    training = {"steps": 10, "batch_size": 4, "max_train_samples": 32, "max_length": 32}
    return folders.recipe(tmp_path / "small.yaml", tiny_folder, strategies=["layernorm"], training=training)
