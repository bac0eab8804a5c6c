"""`peftcli prefetch` says what came and what a node without a network will find; a hub is in tests/preflight."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.preflight import prefetch
from peftcli.preflight.prefetch import Fetched
from tests import folders
from tests.commandline import Command


@pytest.mark.parametrize("ready", [True, False])
def test_a_line_for_what_came_and_one_for_what_is_found(
    ready: bool, peftcli: Command, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = folders.recipe(tmp_path / "r.yaml", tiny_folder)
    asked: list[list[str]] = []

    def fetch(loaded: Recipe, data_dir: Path | None) -> list[Fetched]:
        assert (loaded.overrides, data_dir) == ({"epochs": 5}, tmp_path)
        return [Fetched("model", "someone/tiny", "main", "d" * 40, 4, 1234567)]

    def check(arguments: Sequence[str]) -> dict[str, Any]:
        asked.append(list(arguments))
        item = {"kind": "model", "name": "someone/tiny", "where": "the hub's cache"}
        return {"ready": [{**item, "ready": True}, {**item, "kind": "tokenizer", "ready": ready}]}

    monkeypatch.setattr(prefetch, "fetch", fetch)
    monkeypatch.setattr(prefetch, "check", check)
    ended = peftcli("prefetch", recipe, "--data-dir", tmp_path, "--set", "epochs=5")
    assert asked == [[str(recipe), "--data-dir", str(tmp_path), "--set", "epochs=5"]]
    assert ended.out.splitlines() == [
        f"model someone/tiny main = {'d' * 40}: 4 files, 1,234,567 bytes",
        "found without a network: model someone/tiny: the hub's cache",
        f"{'found' if ready else 'MISSING'} without a network: tokenizer someone/tiny: the hub's cache",
    ]
    assert (ended.code, ended.err) == (0 if ready else 1, "checking with the network off\n")
