"""What a sweep cannot have is refused before anything heavy is imported, in one line that says what is missing."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.models import catalogue, hub
from peftcli.preflight import availability
from tests import folders

COMMIT = "0123456789" * 4


def test_a_model_folder_needs_a_config_and_weights(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    availability.check_model(str(folder))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")  # an older format is good enough
    availability.check_model(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"model folder .*model' holds no weights: one of model\.safetensors, "):
        availability.check_model(str(folder))
    with pytest.raises(UserError, match="nowhere"):
        availability.check_model(str(tmp_path / "nowhere"))


def test_a_hub_model_is_in_the_cache_or_the_hub_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def cached(name: str, file: str, commit: str | None) -> Path | None:
        asked.append((name, commit))
        return tmp_path / file if name == "someone/cached" else None

    monkeypatch.setattr(hub, "cached_file", cached)
    monkeypatch.setattr(hub, "reachable", lambda: False)
    availability.check_model("someone/cached")
    availability.check_model(f"someone/cached@{COMMIT}")
    assert asked == [("someone/cached", None), ("someone/cached", COMMIT)]
    with pytest.raises(UserError) as refused:
        availability.check_model("someone/else")
    assert str(refused.value) == (
        "model 'someone/else' is not in the local hub cache, and the hub cannot be reached: " + catalogue.OFFLINE_HELP
    )
    monkeypatch.setattr(hub, "reachable", lambda: True)
    availability.check_model("someone/else")
