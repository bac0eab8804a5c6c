"""Weights of another model than the config's are refused with the two numbers, before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from peftcli.engine.backbone import load
from peftcli.errors import UserError
from peftcli.models import fitting
from tests import backbones, folders

NAME = "model.safetensors"


def check(folder: Path, **entries: Any) -> frozenset[str]:
    """Check a folder against its config with some entries changed."""
    return fitting.check("model", {**json.loads((folder / "config.json").read_text()), **entries}, folder)


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_every_family_s_weights_fit_their_config(name: str, tmp_path: Path) -> None:
    classifier = backbones.classifier(name)
    classifier.base_model.save_pretrained(tmp_path / "base")
    classifier.save_pretrained(tmp_path / "task")  # the base model's name stands in front of its tensors
    assert check(tmp_path / "base") == check(tmp_path / "task") == {"float64"}


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


# What stands in the files of decoders as they were published, beside the tensors of the model: by family, the prefix of
# language models, and of each layer what is worked out and no weights.
PUBLISHED: dict[str, tuple[str, dict[str, torch.Tensor]]] = {
    "gpt2": ("", {"h.{}.attn.bias": torch.ones(1, 1, 40, 40).tril()}),
    "gpt2, scaled by layers": (
        "transformer.",
        {"h.{}.attn.bias": torch.ones(1, 1, 40, 40, dtype=torch.uint8), "h.{}.attn.masked_bias": torch.tensor(-1e4)},
    ),
    "gpt_neox": (
        "gpt_neox.",
        {
            "layers.{}.attention.bias": torch.ones(1, 1, 40, 40, dtype=torch.bool),
            "layers.{}.attention.masked_bias": torch.tensor(-1e9),
            "layers.{}.attention.rotary_emb.inv_freq": torch.ones(1),
        },
    ),
    "llama": ("model.", {"layers.{}.self_attn.rotary_emb.inv_freq": torch.ones(2)}),
    "mistral": ("model.", {}),
    "qwen2": ("model.", {}),
    "qwen3": ("model.", {}),
    "gemma3_text": ("model.", {}),
}


def published(name: str, folder: Path) -> dict[str, torch.Tensor]:
    """Write a random decoder as language models are published, in two shards with an index; its tensors by their names."""
    from transformers import AutoModelForCausalLM

    prefix, worked_out = PUBLISHED[name]
    model_type, sizes = backbones.CONFIGS[name]
    config = AutoConfig.for_model(model_type, **{**backbones.COMMON, **sizes})
    torch.manual_seed(3)
    language = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.bfloat16)
    language.config.save_pretrained(folder)
    own = {n: p.detach().clone() for n, p in language.base_model.named_parameters()}
    stored = {f"{prefix}{n}": p for n, p in own.items()}
    stored["embed_out.weight" if model_type == "gpt_neox" else "lm_head.weight"] = torch.randn(61, 16).bfloat16()
    for layer in range(language.config.num_hidden_layers):
        stored |= {f"{prefix}{entry.format(layer)}": value.clone() for entry, value in worked_out.items()}
    names = sorted(stored)
    shards = {f"model-0000{at}-of-00002.safetensors": names[at - 1 :: 2] for at in (1, 2)}
    for file, part in shards.items():
        save_file({n: stored[n] for n in part}, folder / file, {"format": "pt"})
    where = {n: file for file, part in shards.items() for n in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return own


@pytest.mark.parametrize("name", PUBLISHED)
def test_decoders_as_published_are_loaded_without_their_language_head(name: str, tmp_path: Path) -> None:
    own = published(name, tmp_path)
    # What is worked out, and the head, are no weights: their types do not count.
    assert check(tmp_path) == {"bfloat16"}
    base = load(str(tmp_path), False, torch.bfloat16, torch.device("cpu"))
    assert base.weights.keys() == own.keys()
    for tensor, value in own.items():
        assert base.weights[tensor].dtype == torch.bfloat16
        assert torch.equal(base.weights[tensor], value), tensor


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("gpt2", "h.0.crossattention.c_attn.weight"),
        ("gpt2", "h.1.attention.bias"),  # a buffer of another family's
        ("gpt_neox", "gpt_neox.layers.0.attn.masked_bias"),
        ("llama", "model.layers.1.self_attn.q_norm.weight"),
        ("llama", "model.layers.0.attention.bias"),
        ("gemma3_text", "model.layers.0.per_layer_projection.weight"),
    ],
)
def test_a_foreign_tensor_of_a_decoder_is_refused(name: str, foreign: str, tmp_path: Path) -> None:
    published(name, tmp_path)
    file = tmp_path / "model-00002-of-00002.safetensors"
    save_file({**load_file(file), foreign: torch.ones(4)}, file, {"format": "pt"})
    with pytest.raises(UserError, match=f"holds {foreign}, which this architecture does not compute with"):
        check(tmp_path)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    published("qwen2", tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"names model-00002-of-00002\.safetensors, which is not there"):
        check(tmp_path)
