"""A model's files at one commit: found whole in the local cache or fetched."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.models import catalogue, files, hub
from peftcli.report.figures import weights

COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with a model's config at one commit, and all of it at another."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "reachable", lambda: False)
    for commit, names in {OTHER: ("config.json",), COMMIT: ("config.json", "model.safetensors", "vocab.txt")}.items():
        folder = tmp_path / "models--someone--tiny" / "snapshots" / commit
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text('{"model_type": "bert"}')
    return tmp_path / "models--someone--tiny" / "snapshots"


def test_a_folder_is_taken_where_it_is_whole(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.at_commit("someone/tiny", COMMIT) == cache / COMMIT
    assert files.locate(f"someone/tiny@{COMMIT}") == str(cache / COMMIT)
    assert weights.locate(f"someone/tiny@{COMMIT}") == cache / COMMIT / "model.safetensors"
    assert weights.locate(f"someone/tiny@{OTHER}") is None
    assert catalogue.config(f"someone/tiny@{COMMIT}") == {"model_type": "bert"}
    with pytest.raises(UserError, match=f"'someone/tiny' at {OTHER} is not in the local hub cache"):
        files.at_commit("someone/tiny", OTHER)
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(files, "fetch_model", lambda name, commit: cache / f"{name}-{commit}")
    assert files.at_commit("someone/tiny", OTHER) == cache / f"someone/tiny-{OTHER}"


def test_a_repository_without_a_config_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "fetch_repository", lambda *_: tmp_path)
    with pytest.raises(UserError, match=r"model 'someone/tiny' has no config.json on the hub"):
        files.fetch_model("someone/tiny", None)
    (tmp_path / "config.json").write_text("{}")
    assert files.fetch_model("someone/tiny", None) == tmp_path
