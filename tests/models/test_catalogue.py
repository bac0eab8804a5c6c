"""The names of models: aliases, and names that are pinned to a commit."""

import json
from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.models import catalogue, published

COMMIT = "a" * 40


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


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"__version__": {"sentence_transformers": "0.3.0"}}, ["0_Transformer"]),  # as it was written until version 1
        (None, ["0_BERT"]),
        (None, ["checkpoint-250", "checkpoint-500"]),  # what a trainer leaves
    ],
)
def test_a_folder_with_its_model_in_a_subfolder_names_the_subfolder(
    tmp_path: Path, outer: dict[str, Any] | None, inner: list[str]
) -> None:
    model = tmp_path / "model"
    for name in (*inner, "1_Pooling"):
        (model / name).mkdir(parents=True)
        config = {"word_embedding_dimension": 8} if name == "1_Pooling" else published.PUBLISHED_SIZES["minilm"]
        (model / name / "config.json").write_text(json.dumps(config))
    if outer is not None:
        (model / "config.json").write_text(json.dumps(outer))
    with pytest.raises(UserError) as refused:
        catalogue.config(str(model))
    assert f"holds no model itself, its subfolder does: give '{model / inner[0]}'" in str(refused.value)
    assert all(name in str(refused.value) for name in inner)
    assert "1_Pooling" not in str(refused.value)
    assert catalogue.config(str(model / inner[0]))["num_hidden_layers"] == 6


def test_a_folder_with_a_model_of_its_own_may_have_others_inside(tmp_path: Path) -> None:
    for folder, layers in ((tmp_path, 3), (tmp_path / "checkpoint-1", 4)):
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(
            json.dumps(published.PUBLISHED_SIZES["minilm"] | {"num_hidden_layers": layers})
        )
    assert catalogue.config(str(tmp_path))["num_hidden_layers"] == 3
    (tmp_path / "config.json").unlink()
    (tmp_path / "checkpoint-1" / "config.json").unlink()
    with pytest.raises(UserError, match=r"cannot read model config .*config\.json"):
        catalogue.config(str(tmp_path))
