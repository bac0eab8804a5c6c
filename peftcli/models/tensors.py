"""What a transformer is made of: from its architecture's row and its config's numbers every tensor's name and shape.

Needs no weights and no torch. The rows are in `families`.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

from peftcli.errors import UserError, unknown
from peftcli.models.families import FAMILIES
from peftcli.models.parts import Architecture, Part, Size

ATTENTION = (
    "query",
    "key",
    "value",
    "attention_output",
    "query_key_value",  # some have one matrix for the three
    "position_key",  # DeBERTa projects relative positions too
    "position_query",
)
# The matrices of the feed-forward: hidden to intermediate size, what gates the result element by element, and back.
FEEDFORWARD = ("intermediate", "gate", "output")
LAYERNORMS = ("attention_layernorm", "ffn_layernorm")
# Of some decoders: head by head of queries and keys, and of what a sub-layer puts out.
FURTHER_LAYERNORMS = (
    "query_layernorm",
    "key_layernorm",
    "attention_output_layernorm",
    "ffn_output_layernorm",
)
EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "embedding_layernorm", "projection")
LAYER = (*ATTENTION, *FEEDFORWARD, *LAYERNORMS, *FURTHER_LAYERNORMS)


@dataclass(frozen=True)
class Parameter:
    """One tensor of a pre-trained model or of its head: its name there, shape, role, and layer (from 1; 0 outside the layers).

    `transposed`: the weight of a linear layer that is [inputs, outputs]. `offset` is added to it where it computes.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    layer: int = 0
    transposed: bool = False
    offset: float = 0.0

    @property
    def matrix(self) -> tuple[int, ...]:
        """The shape as linear layers usually have it, [outputs, inputs]."""
        return self.shape[::-1] if self.transposed else self.shape

    @property
    def size(self) -> int:
        """How many elements the tensor has."""
        return prod(self.shape)


def architecture(model_type: str) -> Architecture:
    """An architecture's row. Raises UserError for one that is not known."""
    if model_type not in FAMILIES:
        raise unknown("architecture", model_type, FAMILIES)
    return FAMILIES[model_type]


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """The config, with what published ones leave out filled in. Raises UserError for an architecture that is not known."""
    return {**architecture(str(config.get("model_type"))).defaults, **config}


def pretrained_parameters(config: dict[str, Any], pooler: bool) -> tuple[Parameter, ...]:
    """The pre-trained model's tensors in their order, from its config's numbers; the pooler's only if asked for."""
    config = complete(config)
    row = architecture(config["model_type"])
    listed = [p for role, part in row.embeddings.items() for p in tensors(role, 0, "", part, config)]
    # Names count layers from 0, strategies from 1; 0 is what lies outside the layers.
    for layer in range(size(config, row.layers)):
        prefix = row.prefix.format(layer)
        listed += [p for role, part in row.layer.items() for p in tensors(role, layer + 1, prefix, part, config)]
    listed += [p for role, part in row.outside.items() for p in tensors(role, 0, "", part, config)]
    # Last, as transformers has it: the order decides where an element of the whole model lies.
    if pooler and row.pooler:
        listed += tensors("pooler", 0, "", row.pooler, config)
    return tuple(listed)


def size(config: dict[str, Any], asked: Size) -> int:
    """A size: a number, a key of the config, or what is worked out from it. Raises UserError."""
    if callable(asked):
        return asked(config)
    return asked if isinstance(asked, int) else number(config, asked)


def number(config: dict[str, Any], key: str) -> int:
    """Read a size from a model's config. Raises UserError where it is missing or no positive whole number."""
    value = config.get(key)
    # JSON's true would pass for 1.
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"the model's config gives {key} as {value!r}, not a positive whole number")
    return value


def tensors(role: str, layer: int, prefix: str, part: Part, config: dict[str, Any]) -> list[Parameter]:
    """A part's tensors; none where this config's model does not have it. Raises UserError for a config with gaps."""
    try:
        if not part.when(config, layer):
            return []
        shape = tuple(size(config, asked) for asked in part.sizes)
    except KeyError as missing:
        raise UserError(f"the model's config gives no {missing.args[0]}") from None
    # Sizes are the output's first, which is also the bias's.
    name, turned = prefix + part.module, part.kind == "transposed"
    weight = shape[::-1] if turned else shape
    listed = [Parameter(f"{name}.weight", weight, role, layer, turned, part.offset)]
    if config[part.bias] if isinstance(part.bias, str) else part.bias:
        listed.append(Parameter(f"{name}.bias", shape[:1], role, layer))
    return listed
