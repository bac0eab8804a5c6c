"""What is there of a recipe without a network, item by item."""

from pathlib import Path

import pytest

from peftcli.experiment import recipe
from peftcli.models import hub
from peftcli.preflight import offline
from tests import folders


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folders.recipe(tmp_path / "recipe.yaml", folders.bert(tmp_path / "model"))
    return tmp_path


def test_a_local_recipe_is_ready_offline(small: Path) -> None:
    items = offline.check(recipe.load(small / "recipe.yaml"), None)
    assert [(item.kind, item.ready) for item in items] == [("model", True), ("tokenizer", True), ("data", True)]
    (small / "model" / "tokenizer.json").unlink()
    (small / "model" / "model.safetensors").unlink()
    items = offline.check(recipe.load(small / "recipe.yaml"), None)
    assert [item.ready for item in items] == [False, False, True]


def test_looking_without_a_network_leaves_the_network_on(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    offline.check(recipe.load(small / "recipe.yaml"), None)
    assert constants.HF_HUB_OFFLINE is False
    assert hub.reachable.cache_info().currsize == 0
