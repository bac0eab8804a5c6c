"""The names of models: aliases, and names that are pinned to a commit."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.models import catalogue

COMMIT = "a" * 40


def test_every_published_model_has_a_line_that_describes_it() -> None:
    assert list(catalogue.DESCRIPTIONS) == list(catalogue.PUBLISHED_SIZES)


def test_a_pin_is_a_whole_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert catalogue.pin(f"someone/tiny@{COMMIT}") == ("someone/tiny", COMMIT)
    assert catalogue.pin("someone/tiny") == ("someone/tiny", None)
    for wrong in ("main", "v1.0", COMMIT[:-1], COMMIT.upper()):
        with pytest.raises(UserError, match=f"'{wrong}' is no commit of the hub"):
            catalogue.pin(f"someone/tiny@{wrong}")
    with pytest.raises(UserError, match="minilm is a package"):
        catalogue.pin(f"minilm@{COMMIT}")
    (tmp_path / "folder@home").mkdir()
    assert catalogue.pin("folder@home") == ("folder@home", None)


def test_a_pinned_name_is_another_name_with_the_published_sizes() -> None:
    pinned = f"bert-base-uncased@{COMMIT}"
    assert catalogue.name(pinned) == pinned
    assert parameters.count(pinned, "layernorm", {}, "pair", 2) == parameters.count(
        "bert-base-uncased", "layernorm", {}, "pair", 2
    )
