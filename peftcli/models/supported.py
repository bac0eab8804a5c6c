"""What a model's config may ask for besides sizes: what would change its numbers and is not carried out is refused. No torch."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from peftcli.errors import UserError
from peftcli.models.tensors import architecture, complete

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """An entry of a config: whether it changes the model from what is computed here, and why that is not carried out."""

    key: str
    changes: Callable[[Any], bool]
    why: str


def _is_relative(value: Any) -> bool:
    return value not in (None, "absolute")


def _is_own_code(value: Any) -> bool:
    return isinstance(value, dict) and "AutoModel" in value


def _follows_lengths(value: Any) -> bool:
    """Whether rotary positions are scaled by the longest sequence of a batch; by kind of layer, or for all of them."""
    if not isinstance(value, dict):
        return False
    kind = value.get("rope_type") or value.get("type")
    return kind in ("dynamic", "longrope") or any(map(_follows_lengths, value.values()))


def _are_unknown_layers(value: Any) -> bool:
    return value is not None and not set(value) <= {"full_attention", "sliding_attention"}


# Of all families. What their stock code reads and is not listed is computed by that code itself (activations, LayerNorms'
# epsilon, windows), is a shape (checked against the weights), or changes no number: `use_cache` without a decoder, and
# what loading sets anyway (`engine.backbone.HARMLESS`).
ENTRIES = (
    Entry("is_decoder", bool, "a decoder's words see those before them alone, and models are trained as encoders"),
    Entry("is_encoder_decoder", bool, "models are trained as encoders"),
    Entry("add_cross_attention", bool, "cross-attention reads a second model, and models are trained as encoders"),
    Entry("position_embedding_type", _is_relative, "transformers has only absolute ones left for this family"),
    Entry("pruned_heads", bool, "transformers has no heads of layers cut out any more"),
    Entry("per_layer_config", bool, "layers of different sizes are not known"),
    Entry("quantization_config", bool, "quantised weights cannot be trained: take the model they were made from"),
    Entry("auto_map", _is_own_code, "a model's own code is not run, and transformers' computes something else"),
    Entry("rope_parameters", _follows_lengths, "an example's numbers would depend on the lengths of its neighbours"),
    Entry("rope_scaling", _follows_lengths, "an example's numbers would depend on the lengths of its neighbours"),
    Entry("use_bidirectional_attention", bool, "a decoder's tokens see those before them alone"),
    Entry("is_causal", lambda value: value is False, "a decoder's tokens see those before them alone"),
    Entry("layer_types", _are_unknown_layers, "layers see their whole sequence, or a window of it"),
    Entry("inner_group_num", lambda value: value not in (None, 1), "a group is known with one layer alone"),
)


def check(config: Config, model: str) -> None:
    """Refuse a model whose config asks for what is not carried out. Raises UserError, also for an unknown architecture."""
    whole = complete(dict(config))
    for entry in ENTRIES:
        if entry.changes(value := whole.get(entry.key)):
            raise _refusal(model, entry.key, value, entry.why)
    row = architecture(whole["model_type"])
    if row.first_position == "after padding" and not isinstance(whole["pad_token_id"], int):
        raise _refusal(model, "pad_token_id", whole["pad_token_id"], "positions are counted from behind it")
    # DeBERTa's pooler, which is part of its stock classifier's head.
    if whole.get("pooler_hidden_size", whole.get(row.hidden)) != whole.get(row.hidden):
        why = f"a head is as wide as the layers, {whole.get(row.hidden)}"
        raise _refusal(model, "pooler_hidden_size", whole["pooler_hidden_size"], why)


def _refusal(model: str, key: str, value: Any, why: str) -> UserError:
    shown = json.dumps(value, default=str)
    return UserError(f"model {model!r}: its config says {key}: {shown[:60]}{'…' * (len(shown) > 60)}, but {why}")
