"""The decoders that are known, a row each: a token sees those before it alone, and a sequence's last one is read. No torch.

Heads are those of transformers' sequence and token classifiers. The language model's head is no part of any of them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from peftcli.models.parts import (
    Architecture,
    Config,
    Head,
    Part,
    Size,
    embedding,
    layernorm,
    linear,
    rmsnorm,
    transposed,
)

# One layer without bias, and no dropout; a token classifier has both.
_TOKEN_DROPOUT = ("classifier_dropout", "hidden_dropout")
_HEAD = Head(bias=False, dropout=(), token_dropout=_TOKEN_DROPOUT, modules={"out": "score"}, token_module="score")
_OLDER_HEAD = replace(_HEAD, token_module="classifier")
_CLASSIFIER_DROPOUT = {"classifier_dropout": 0.1}


def _feedforward_width(config: Config) -> int:
    return int(config["n_inner"] or 4 * config["n_embd"])


_GPT2 = Architecture(
    "h.{}.",
    {
        "word_embeddings": embedding("wte", "vocab_size", "n_embd"),
        "position_embeddings": embedding("wpe", "n_positions", "n_embd"),
    },
    {
        "attention_layernorm": layernorm("ln_1", "n_embd"),
        # Queries, keys and values of all heads in three blocks, one behind another.
        "query_key_value": transposed("attn.c_attn", lambda c: 3 * c["n_embd"], "n_embd"),
        "attention_output": transposed("attn.c_proj", "n_embd", "n_embd"),
        "ffn_layernorm": layernorm("ln_2", "n_embd"),
        "intermediate": transposed("mlp.c_fc", _feedforward_width, "n_embd"),
        "output": transposed("mlp.c_proj", "n_embd", _feedforward_width),
    },
    None,
    _OLDER_HEAD,
    decoder=True,
    layers="n_layer",
    hidden="n_embd",
    outside={"final_layernorm": layernorm("ln_f", "n_embd")},
    defaults={"n_inner": None} | _CLASSIFIER_DROPOUT,
    ends={"attention_output": "attn.resid_dropout", "output": "mlp.dropout"},
    norm_first=True,
    buffers=("attn.bias", "attn.masked_bias"),  # the causal mask, and what it puts in the place of scores
)
_GPT_NEOX = Architecture(
    "layers.{}.",
    {"word_embeddings": embedding("embed_in", "vocab_size")},
    {
        "attention_layernorm": layernorm("input_layernorm"),
        "ffn_layernorm": layernorm("post_attention_layernorm"),
        # Head by head: a head's query, key and value lie side by side.
        "query_key_value": linear("attention.query_key_value", lambda c: 3 * c["hidden_size"], bias="attention_bias"),
        "attention_output": linear("attention.dense", bias="attention_bias"),
        "intermediate": linear("mlp.dense_h_to_4h", "intermediate_size"),
        "output": linear("mlp.dense_4h_to_h", "hidden_size", "intermediate_size"),
    },
    None,
    _OLDER_HEAD,
    decoder=True,
    outside={"final_layernorm": layernorm("final_layer_norm")},
    defaults={"attention_bias": True} | _CLASSIFIER_DROPOUT,
    ends={"attention_output": "post_attention_dropout", "output": "post_mlp_dropout"},
    norm_first=True,
    buffers=("attention.bias", "attention.masked_bias"),
)


def _head_width(config: Config) -> int:
    return int(config["head_dim"] or config["hidden_size"] // config["num_attention_heads"])


def _query_width(config: Config) -> int:
    return int(config["num_attention_heads"]) * _head_width(config)


def _key_width(config: Config) -> int:
    """Several query heads may share a key head."""
    return int(config["num_key_value_heads"] or config["num_attention_heads"]) * _head_width(config)


def _gated(
    *,
    input_bias: bool | str = "attention_bias",
    output_bias: bool | str = "attention_bias",
    ffn_bias: bool | str = False,
    ffn_layernorm: str = "post_attention_layernorm",
    head_layernorms: bool = False,
    more: Mapping[str, Part] | None = None,
    ends: Mapping[str, str] | None = None,
    offset: float = 0.0,
    defaults: Mapping[str, Any],
) -> Architecture:
    """Llama's layers: RMSNorm in front of each sub-layer, rotary positions, shared key heads, a gated feed-forward.

    `head_layernorms`: queries and keys are normalised head by head. `more` are further tensors of a layer, `ends` the modules
    by which its sub-layers end, where that is not a linear layer; `offset` is what gains are counted from.
    """

    def norm(module: str, size: Size = "hidden_size") -> Part:
        return rmsnorm(module, size, offset=offset)

    of_heads = {
        "query_layernorm": norm("self_attn.q_norm", _head_width),
        "key_layernorm": norm("self_attn.k_norm", _head_width),
    }
    return Architecture(
        "layers.{}.",
        {"word_embeddings": embedding("embed_tokens", "vocab_size")},
        {
            "query": linear("self_attn.q_proj", _query_width, bias=input_bias),
            "key": linear("self_attn.k_proj", _key_width, bias=input_bias),
            "value": linear("self_attn.v_proj", _key_width, bias=input_bias),
            "attention_output": linear("self_attn.o_proj", "hidden_size", _query_width, bias=output_bias),
            **(of_heads if head_layernorms else {}),
            "gate": linear("mlp.gate_proj", "intermediate_size", bias=ffn_bias),
            "intermediate": linear("mlp.up_proj", "intermediate_size", bias=ffn_bias),
            "output": linear("mlp.down_proj", "hidden_size", "intermediate_size", bias=ffn_bias),
            "attention_layernorm": norm("input_layernorm"),
            "ffn_layernorm": norm(ffn_layernorm),
            **(more or {}),
        },
        None,
        _HEAD,
        decoder=True,
        outside={"final_layernorm": norm("norm")},
        defaults={"head_dim": None, "attention_bias": False, **_CLASSIFIER_DROPOUT, **defaults},
        ends=ends or {},
        norm_first=True,
    )


DECODERS: dict[str, Architecture] = {
    "gpt2": _GPT2,
    "gpt_neox": _GPT_NEOX,
    "llama": _gated(ffn_bias="mlp_bias", defaults={"mlp_bias": False, "num_key_value_heads": None}),
    "mistral": _gated(input_bias=False, output_bias=False, defaults={"num_key_value_heads": 8}),
    "qwen2": _gated(input_bias=True, output_bias=False, defaults={"num_key_value_heads": 32}),
    "qwen3": _gated(head_layernorms=True, defaults={"num_key_value_heads": 32, "head_dim": 128}),
    # LayerNorms behind each sub-layer too.
    "gemma3_text": _gated(
        ffn_layernorm="pre_feedforward_layernorm",
        head_layernorms=True,
        more={
            "attention_output_layernorm": rmsnorm("post_attention_layernorm", offset=1.0),
            "ffn_output_layernorm": rmsnorm("post_feedforward_layernorm", offset=1.0),
        },
        ends={"attention_output": "post_attention_layernorm", "output": "post_feedforward_layernorm"},
        offset=1.0,
        defaults={"num_key_value_heads": 4, "head_dim": 256},
    ),
}
