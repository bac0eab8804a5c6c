"""Weights of another model than the config's are refused with the two numbers, before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from peftcli.errors import UserError
from peftcli.models import fitting
from tests import backbones, folders

NAME = "model.safetensors"


def check(folder: Path, **entries: Any) -> None:
    """Check a folder against its config with some entries changed."""
    fitting.check("model", {**json.loads((folder / "config.json").read_text()), **entries}, folder)


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_every_family_s_weights_fit_their_config(name: str, tmp_path: Path) -> None:
    classifier = backbones.classifier(name)
    classifier.base_model.save_pretrained(tmp_path / "base")
    classifier.save_pretrained(tmp_path / "task")  # the base model's name stands in front of its tensors
    check(tmp_path / "base")
    check(tmp_path / "task")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"num_hidden_layers": 1}, "holds 2 layers, and config.json says num_hidden_layers: 1"),
        ({"num_hidden_layers": 12}, "holds 2 layers, and config.json says num_hidden_layers: 12"),
        ({"hidden_size": 32}, r"is of hidden_size 16 \(embeddings.word_embeddings.weight\), and config.json says 32"),
        ({"intermediate_size": 25}, r"is of intermediate_size 24 \(.*\), and config.json says 25"),
        ({"max_position_embeddings": 512}, "is of max_position_embeddings 40 .*, and config.json says 512"),
        ({"vocab_size": 79 + 3}, "is of vocab_size 79 .*, and config.json says 82"),  # pieces added, rows forgotten
        ({"type_vocab_size": 1}, "is of type_vocab_size 2 .*, and config.json says 1"),
        (
            {"model_type": "distilbert", "dim": 16, "n_layers": 2, "hidden_dim": 24},
            "lacks transformer.layer.0.attention",
        ),
    ],
)
def test_a_config_of_another_model(entries: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    with pytest.raises(UserError, match=f"model 'model': model.safetensors {said}"):
        check(folder, **entries)


@pytest.mark.parametrize(
    "name",
    [
        "encoder.layer.0.attention.self.distance_embedding.weight",
        "bert.encoder.layer.1.crossattention.self.query.weight",
        "encoder.layer.0.attention.self.query.lora_A.weight",
    ],
)
def test_tensors_inside_layers_that_would_be_left_out(name: str, tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    tensors = load_file(folder / NAME)
    save_file({**tensors, name: torch.zeros(2, 2)}, folder / NAME)
    with pytest.raises(UserError, match=f"holds {name}, which this architecture does not compute with"):
        check(folder)


def test_heads_buffers_and_a_missing_pooler_are_no_fault(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    tensors = {name: value for name, value in load_file(folder / NAME).items() if not name.startswith("pooler.")}
    tensors |= {"cls.predictions.bias": torch.zeros(79), "embeddings.position_ids": torch.arange(40)[None]}
    # As the first BERT checkpoints name their LayerNorms.
    old = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): v for name, v in tensors.items()
    }
    save_file({f"bert.{name}" if name[:4] != "cls." else name: value for name, value in old.items()}, folder / NAME)
    check(folder)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    tensors = load_file(folder / NAME)
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, folder / NAME)
    with pytest.raises(UserError, match=r"lacks encoder\.layer\.1\.output\.dense\.bias, which every bert"):
        check(folder)
