"""Whether a model's weights are those that its config describes: as many layers, of the same sizes, nothing missing. No torch."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftcli.errors import UserError
from peftcli.models import supported, weights
from peftcli.models.parts import Architecture
from peftcli.models.tensors import Parameter, architecture, complete, pretrained_parameters, size
from peftcli.models.weights import Headers

# Named in older checkpoints as here; transformers renames them when it loads.
RENAMED = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
BUFFERS = ("position_ids", "inv_freq")  # what stands among weights and is none, in any family


def check(model: str, config: Mapping[str, Any], folder: Path) -> frozenset[str]:
    """The types that a model's weights are stored in, in torch's words; those of what it does not compute with left out.

    Raises UserError for a config that asks for what is not carried out, for damaged weights (naming the file), and for
    weights of another model than the config's (with the two numbers that differ).
    """
    supported.check(config, model)
    file, stored = weights.stored(folder)
    headers = {_current(name): header for name, header in stored.items()}
    whole = complete(dict(config))
    row = architecture(whole["model_type"])
    expected = {p.name: p for p in pretrained_parameters(whole, pooler=True)}
    where = f"model {model!r}: {file.name}"
    _check_layers(where, whole, row, headers)
    # A task model's tensors have the base model's name in front.
    held = {bare: header for name, header in headers.items() for bare in (name, _inner(name)) if bare in expected}
    for name, parameter in expected.items():
        # Many checkpoints come without a pooler, which then is drawn for each run.
        if name not in held and parameter.role != "pooler":
            kind = whole["model_type"]
            raise UserError(f"{where} lacks {name}, which every {kind} of its config has: it is another model's")
        if name in held and held[name].shape != parameter.shape:
            raise UserError(f"{where} {_difference(parameter, held[name].shape, row)}")
    _check_inside_layers(where, row, headers, expected)
    return frozenset(header.type for header in held.values())


def _current(name: str) -> str:
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    return name


def _inner(name: str) -> str:
    return name.partition(".")[2]


def _layer_pattern(row: Architecture) -> re.Pattern[str]:
    """A tensor of a layer as the architecture has it, whatever stands in front; its layer's number, and its name in there."""
    numbered = re.escape(row.prefix).replace(re.escape("{}"), "([0-9]+)")
    return re.compile(rf"(?:[^.]+\.)?({numbered}(.+))")


def _check_layers(where: str, config: dict[str, Any], row: Architecture, headers: Headers) -> None:
    """Refuse another number of layers than the config's: fewer would leave some out, more would start from nothing."""
    pattern = _layer_pattern(row)
    there = len({int(match[2]) for name in headers if (match := pattern.fullmatch(name))})
    layers = size(config, row.layers)
    if there and there != layers:
        raise UserError(f"{where} holds {there} layers, and config.json says {row.layers}: {layers}")


def _check_inside_layers(where: str, row: Architecture, headers: Headers, expected: Mapping[str, Parameter]) -> None:
    """Refuse tensors inside the layers that the architecture does not know: the model was made to compute with them."""
    pattern = _layer_pattern(row)
    for name in headers:
        match = pattern.fullmatch(name)
        if match and match[1] not in expected and match[3] not in row.buffers and not name.endswith(BUFFERS):
            raise UserError(
                f"{where} holds {name}, which this architecture does not compute with: it would be left out"
            )


def _difference(parameter: Parameter, shape: tuple[int, ...], row: Architecture) -> str:
    """Word how a tensor differs from the config, by the config's key where one gives the size that differs."""
    parts = {**row.embeddings, **row.outside, **row.layer} | ({"pooler": row.pooler} if row.pooler else {})
    for asked, wanted, there in zip(parts[parameter.role].sizes, parameter.shape, shape, strict=False):
        if wanted != there and isinstance(asked, str):
            return f"is of {asked} {there} ({parameter.name}), and config.json says {wanted}"
    return f"holds {parameter.name} {shape}, and the numbers of config.json give {parameter.shape}"
