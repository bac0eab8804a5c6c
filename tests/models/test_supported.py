"""Entries of a model's config that change what it computes are refused by name, in every family; the others are taken."""

from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.models import supported
from tests import backbones

ENCODERS = ("bert", "roberta", "xlm-roberta", "electra")


def config(name: str, **entries: Any) -> dict[str, Any]:
    """A family's config as transformers fills it in, with other entries."""
    from transformers import AutoConfig

    model_type, sizes = backbones.CONFIGS[name]
    return {**AutoConfig.for_model(model_type, **{**backbones.COMMON, **sizes}).to_dict(), **entries}


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_the_families_own_configs_are_taken(name: str) -> None:
    supported.check(config(name), name)
    supported.check(config(name, is_decoder=False, pruned_heads={}, position_embedding_type="absolute"), name)
    supported.check(config(name, auto_map={"AutoConfig": "own.Config"}, use_cache=True, rope_scaling=None), name)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("is_decoder", True, "true"),
        ("is_encoder_decoder", True, "true"),
        ("add_cross_attention", True, "true"),
        ("position_embedding_type", "relative_key", '"relative_key"'),
        ("position_embedding_type", "alibi", '"alibi"'),
        ("pruned_heads", {"0": [1]}, '{"0": [1]}'),
        ("quantization_config", {"load_in_8bit": True}, '{"load_in_8bit": true}'),
        ("auto_map", {"AutoModel": "own.Model"}, '{"AutoModel": "own.Model"}'),
    ],
)
def test_what_is_not_carried_out_is_refused(name: str, key: str, value: Any, shown: str) -> None:
    with pytest.raises(UserError) as refused:
        supported.check(config(name, **{key: value}), "some/model")
    assert str(refused.value).startswith(f"model 'some/model': its config says {key}: {shown}, but ")


@pytest.mark.parametrize(
    ("name", "entries", "said"),
    [
        ("albert", {"inner_group_num": 2}, "inner_group_num: 2, but a group"),
        ("deberta-v3", {"pooler_hidden_size": 8}, "pooler_hidden_size: 8, but a head is as wide as the layers, 16"),
        ("roberta", {"pad_token_id": None}, "pad_token_id: null, but positions are counted from behind it"),
        ("modernbert", {"rope_parameters": {"full_attention": {"rope_type": "dynamic"}}}, "lengths of its neighbours"),
        ("modernbert", {"rope_scaling": {"type": "longrope"}}, "lengths of its neighbours"),
        ("llama", {"rope_scaling": {"rope_type": "dynamic"}}, "lengths of its neighbours"),
        ("llama", {"is_causal": False}, "is_causal: false, but a decoder's tokens see those before them alone"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention: true, but a decoder's"),
        (
            "qwen2",
            {"layer_types": ["full_attention", "linear_attention"]},
            "layers see their whole sequence, or a window",
        ),
    ],
)
def test_what_only_one_family_has(name: str, entries: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        supported.check(config(name, **entries), "model")


def test_an_unknown_architecture_is_refused_by_its_name() -> None:
    with pytest.raises(UserError, match="unknown architecture 'gptj'"):
        supported.check({"model_type": "gptj"}, "model")
