"""What tests of deltas share: a base, a delta of it, and a cache of their own."""

from pathlib import Path

import pytest

from peftcli.records import beside
from tests import folders, trained


@pytest.fixture(autouse=True)
def delta_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of tokenised data that these tests share, apart from the user's."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "delta-cache"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT of three layers in a folder."""
    return folders.bert(tmp_path_factory.mktemp("delta") / "base", num_hidden_layers=3)


@pytest.fixture(scope="module")
def layernorm(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The delta of a LayerNorm run on that base."""
    record = trained.train(tmp_path_factory.mktemp("layernorm"), base, "layernorm")[0]
    return beside.delta(record.path)
