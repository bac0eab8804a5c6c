"""What each transformer architecture is made of: a row per architecture, and from its config numbers every tensor's name and shape.

Needs no weights and no torch. A new architecture is one row in `ARCHITECTURES`.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

from peftcli.errors import UserError, unknown

ATTENTION = ("query", "key", "value", "attention_output")
FEEDFORWARD = ("intermediate", "output")
LAYERNORMS = ("attention_layernorm", "ffn_layernorm")
EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "embedding_layernorm", "projection")
LAYER = (*ATTENTION, *FEEDFORWARD, *LAYERNORMS)


@dataclass(frozen=True)
class Parameter:
    """One tensor of a pre-trained model or of its head: its name there, shape, role, and layer (from 1; 0 outside the layers)."""

    name: str
    shape: tuple[int, ...]
    role: str
    layer: int = 0

    @property
    def size(self) -> int:
        """How many elements the tensor has."""
        return prod(self.shape)


@dataclass(frozen=True)
class Head:
    """The head that the architecture's stock sequence classifier has.

    `dense` is the activation of its inner dense layer (None: no such layer, the pooler does that work), and
    `first_dropout` says whether dropout stands before that layer.
    """

    dense: str | None = None
    first_dropout: bool = False


@dataclass(frozen=True)
class Architecture:
    """Names of an architecture's modules by role; sizes are keys of its config.

    `embeddings` and `layer` map role to (module name, kind, output size, input size); `{}` in `prefix` is the layer, from 0.
    `stream` says whether the encoder runs on unpadded streams; `first_position` where position ids start.
    """

    prefix: str
    embeddings: dict[str, tuple[str, ...]]
    layer: dict[str, tuple[str, ...]]
    pooler: tuple[str, ...] | None
    head: Head
    stream: bool = True
    first_position: str | int = 0  # a number, or "after padding"
    layers: str = "num_hidden_layers"
    hidden: str = "hidden_size"


_BERT_EMBEDDINGS = {
    "word_embeddings": ("embeddings.word_embeddings", "embedding", "vocab_size", "hidden_size"),
    "position_embeddings": ("embeddings.position_embeddings", "embedding", "max_position_embeddings", "hidden_size"),
    "token_type_embeddings": ("embeddings.token_type_embeddings", "embedding", "type_vocab_size", "hidden_size"),
    "embedding_layernorm": ("embeddings.LayerNorm", "layernorm", "hidden_size"),
}
_BERT_LAYER = {
    "query": ("attention.self.query", "linear", "hidden_size", "hidden_size"),
    "key": ("attention.self.key", "linear", "hidden_size", "hidden_size"),
    "value": ("attention.self.value", "linear", "hidden_size", "hidden_size"),
    "attention_output": ("attention.output.dense", "linear", "hidden_size", "hidden_size"),
    "attention_layernorm": ("attention.output.LayerNorm", "layernorm", "hidden_size"),
    "intermediate": ("intermediate.dense", "linear", "intermediate_size", "hidden_size"),
    "output": ("output.dense", "linear", "hidden_size", "intermediate_size"),
    "ffn_layernorm": ("output.LayerNorm", "layernorm", "hidden_size"),
}
_POOLER = ("pooler.dense", "linear", "hidden_size", "hidden_size")

ARCHITECTURES = {
    "bert": Architecture("encoder.layer.{}.", _BERT_EMBEDDINGS, _BERT_LAYER, _POOLER, Head()),
    "roberta": Architecture(
        "encoder.layer.{}.",
        _BERT_EMBEDDINGS,
        _BERT_LAYER,
        _POOLER,
        Head(dense="tanh", first_dropout=True),
        first_position="after padding",
    ),
}


def architecture(model_type: str) -> Architecture:
    """Give an architecture's row. Raises UserError for one that is not known."""
    if model_type not in ARCHITECTURES:
        raise unknown("architecture", model_type, ARCHITECTURES)
    return ARCHITECTURES[model_type]


def parameters(config: dict[str, Any], pooler: bool) -> tuple[Parameter, ...]:
    """List the pre-trained model's tensors in their order, from its config's numbers; the pooler's only if asked for."""
    row = architecture(str(config.get("model_type")))
    found = [p for role, part in row.embeddings.items() for p in _tensors(role, 0, "", part, config)]
    for layer in range(number(config, row.layers)):
        prefix = row.prefix.format(layer)
        found += [p for role, part in row.layer.items() for p in _tensors(role, layer + 1, prefix, part, config)]
    if pooler and row.pooler:
        found += _tensors("pooler", 0, "", row.pooler, config)
    return tuple(found)


def number(config: dict[str, Any], key: str) -> int:
    """Read a size from a model's config. Raises UserError where it is missing or no positive whole number."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"the model's config gives {key} as {value!r}, not a positive whole number")
    return value


def _tensors(role: str, layer: int, prefix: str, part: tuple[str, ...], config: dict[str, Any]) -> list[Parameter]:
    module, kind, *sizes = part
    shape = tuple(number(config, size) for size in sizes)
    name = prefix + module
    found = [Parameter(f"{name}.weight", shape, role, layer)]
    if kind != "embedding":
        found.append(Parameter(f"{name}.bias", shape[:1], role, layer))
    return found
