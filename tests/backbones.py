"""Tiny random models of every known family, as transformers builds them, and a stock classifier's logits."""

import copy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from peftcli.engine import backbone as backbones
from peftcli.engine.backbone import Backbone
from peftcli.engine.batches import build
from peftcli.engine.network import Network
from peftcli.models import heads
from peftcli.models.decoders import DECODERS
from peftcli.models.families import FAMILIES
from tests import tiny

COMMON: dict[str, Any] = {"vocab_size": 61, "max_position_embeddings": 40, "pad_token_id": 1}
BERT: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24, "type_vocab_size": 2,
}  # fmt: skip
V3 = {
    "type_vocab_size": 0, "relative_attention": True, "position_buckets": 4, "norm_rel_ebd": "layer_norm",
    "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
}  # fmt: skip
MODERN = {
    "attn_implementation": "sdpa",
    "eos_token_id": 2,
    "bos_token_id": 0,
    "cls_token_id": 0,
    "sep_token_id": 2,
    "local_attention": 6,
}
GATED = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 24}
NEOX = {**GATED, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", BERT),
    "roberta": ("roberta", {**BERT, "type_vocab_size": 1}),
    "xlm-roberta": ("xlm-roberta", {**BERT, "type_vocab_size": 1}),
    "distilbert": ("distilbert", {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24}),
    "electra": ("electra", {**BERT, "embedding_size": 16}),
    "electra, narrow embeddings": ("electra", {**BERT, "embedding_size": 10}),
    "albert": ("albert", {**BERT, "embedding_size": 10}),
    "albert, two groups": ("albert", {**BERT, "embedding_size": 10, "num_hidden_layers": 4, "num_hidden_groups": 2}),
    "deberta-v3": ("deberta-v2", {**BERT, **V3}),
    "deberta-v2, own keys, convolution": (
        "deberta-v2",
        {**BERT, **V3, "share_att_key": False, "position_buckets": -1, "type_vocab_size": 2, "conv_kernel_size": 3,
         "position_biased_input": True, "pooler_hidden_act": "tanh"},
    ),
    "deberta-v2, absolute": ("deberta-v2", {**BERT}),
    "gpt2": ("gpt2", {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_inner": 24, "n_positions": 40, "attn_pdrop": 0.1}),
    "gpt2, scaled by layers": (
        "gpt2",
        {"n_embd": 16, "n_layer": 3, "n_head": 4, "n_positions": 40, "scale_attn_by_inverse_layer_idx": True},
    ),
    "gpt_neox": ("gpt_neox", {**NEOX, "hidden_dropout": 0.1, "attention_dropout": 0.1}),
    "gpt_neox, one after another": ("gpt_neox", {**NEOX, "use_parallel_residual": False, "attention_bias": False}),
    "llama": ("llama", {**GATED, "num_key_value_heads": 2, "attention_dropout": 0.1}),
    "llama, biases": ("llama", {**GATED, "num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("mistral", {**GATED, "num_key_value_heads": 2, "sliding_window": 4}),
    "qwen2": ("qwen2", {**GATED, "num_key_value_heads": 2}),
    "qwen2, windows": (
        "qwen2",
        {**GATED, "num_key_value_heads": 2, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", {**GATED, "num_key_value_heads": 2, "head_dim": 6}),
    "gemma3_text": (
        "gemma3_text",
        {**GATED, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 5, "query_pre_attn_scalar": 10,
         "sliding_window_pattern": 2},
    ),
    "modernbert": ("modernbert", {**BERT, **MODERN, "num_hidden_layers": 4}),
    "modernbert, mean, biases": (
        "modernbert",
        {**BERT, **MODERN, "classifier_pooling": "mean", "norm_bias": True, "attention_bias": True, "mlp_bias": True,
         "classifier_bias": True},
    ),
}  # fmt: skip
# ModernBERT turns its queries and keys in float32 in any precision.
TOLERANCE = {name: 1e-6 if name.startswith("modernbert") else 1e-9 for name in CONFIGS}
STOCK_HEADS = {
    "bert": {"out": "classifier"},
    "albert": {"out": "classifier"},
    "roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "xlm-roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "electra": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "distilbert": {"dense": "pre_classifier", "out": "classifier"},
    "deberta-v2": {"dense": "pooler.dense", "out": "classifier"},
    **{name: {"out": "score"} for name in DECODERS},
    "modernbert": {"dense": "head.dense", "norm": "head.norm", "out": "classifier"},
}


class KeepsPrecision(TorchFunctionMode):
    """Where a stock model computes in float32 whatever its precision (norms, softmax, rotary angles): in float64 instead."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        wide = {key: torch.float64 if value is torch.float32 else value for key, value in (kwargs or {}).items()}
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        if func is torch.Tensor.to:
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
        return func(*args, **wide)


def classifier(name: str, labels: int = 3, dtype: torch.dtype = torch.float64, **more: Any) -> torch.nn.Module:
    """A random stock sequence classifier, its biases and gains away from 0 and 1, so that each matters."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    model_type, sizes = CONFIGS[name]
    config = AutoConfig.for_model(
        model_type, **{**COMMON, "attn_implementation": "eager", "num_labels": labels, **sizes, **more}
    )
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_config(config).to(dtype).eval()
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.add_(torch.randn(parameter.shape, dtype=dtype) * (0.1 if parameter.ndim == 1 else 0.2))
    if is_decoder(model) and dtype == torch.float64:
        forward = model.forward

        def precise(*inputs: Any, **named: Any) -> Any:
            with KeepsPrecision():
                return forward(*inputs, **named)

        model.forward = precise
    return model


def is_decoder(model: torch.nn.Module) -> bool:
    """Whether a stock model is one of the decoders."""
    return FAMILIES[model.config.model_type].decoder


def backbone(model: torch.nn.Module, kind: str = "pair") -> Backbone:
    """The classifier's backbone as ours; the classifier stays as it was."""
    network = copy.deepcopy(model.base_model)
    return backbones.adopt(network, heads.uses_pooler(model.config.to_dict(), kind, "stock"), frozenset())


def network(model: torch.nn.Module, kind: str = "pair", labels: int = 3) -> Network:
    """Our network on the classifier's backbone."""
    return Network(backbone(model, kind), kind, labels, "stock")


def head_tensors(name: str, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The classifier's head by our names."""
    own = dict(model.named_parameters())
    stock = STOCK_HEADS[CONFIGS[name][0]]
    return {
        f"head.{ours}.{kind}": own[f"{theirs}.{kind}"]
        for ours, theirs in stock.items()
        for kind in ("weight", "bias")
        if f"{theirs}.{kind}" in own
    }


def padded_inputs(model: torch.nn.Module, examples: Any, chosen: Any, side: str = "right") -> dict[str, torch.Tensor]:
    """A padded batch as anyone would build it; a decoder is told the positions, which padding on the left would shift."""
    rows = [slice(examples.starts[i], examples.starts[i + 1]) for i in chosen]
    pad = partial(torch.nn.utils.rnn.pad_sequence, padding_side=side)
    ids = pad([torch.tensor(examples.ids[r]) for r in rows], batch_first=True, padding_value=model.config.pad_token_id)
    mask = pad([torch.ones(r.stop - r.start, dtype=torch.long) for r in rows], batch_first=True)
    given = {"input_ids": ids, "attention_mask": mask}
    if getattr(model.config, "type_vocab_size", 0):
        given["token_type_ids"] = pad([torch.tensor(examples.types[r]) for r in rows], batch_first=True)
    if is_decoder(model):
        given |= {"position_ids": (mask.cumsum(1) - 1).clamp(min=0), "use_cache": False}
    return given


def batches(network: Network, kind: str = "pair", typed: bool = False) -> Any:
    """Two runs with batches of unequal lengths, the second one short."""
    parts = [
        (tiny.examples(kind, 12, seed=0), np.array([3, 0, 7, 5])),
        (tiny.examples(kind, 12, 5, 17), np.array([1, 2])),
    ]
    if typed and (network.config.get("type_vocab_size") or 0) > 1:
        for examples, _ in parts:
            examples.types[:] = np.arange(len(examples.types)) % 2
    return parts, build(parts, network.reading, torch.device("cpu"))
