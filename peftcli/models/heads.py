"""The tensors of a task's head, by task kind and style, with no torch: what `params` counts and the engine builds."""

from typing import Any, Literal

from peftcli.models import parts
from peftcli.models.parts import layernorm, linear
from peftcli.models.tensors import Parameter, architecture, complete, number, tensors

Style = Literal["stock", "linear", "pooled_dense"]


def uses_pooler(config: dict[str, Any], kind: str, style: Style) -> bool:
    """Whether the head reads the backbone's pooler; where it does not, the pooler is left out of the model.

    `stock` follows the architecture's own sequence classifier: BERT's reads its pooler, RoBERTa's has a dense layer in
    its place. Token and span heads read the hidden states themselves.
    """
    row = architecture(str(config.get("model_type")))
    # A pooler reads the first token alone, which is of no use to a label a word.
    if kind in ("token", "span") or row.pooler is None:
        return False
    return style != "stock" or row.head.dense is None


def parameters(config: dict[str, Any], kind: str, labels: int, style: Style) -> tuple[Parameter, ...]:
    """A head's tensors: `labels` outputs (one for regression, one score for each choice)."""
    config = complete(config)
    row = architecture(config["model_type"])
    hidden = number(config, row.hidden)
    if kind == "span":
        # A score a token weighs the tokens within each of two spans; the two sums, side by side, are classified.
        return (*_linear("span_attention", 1, hidden), *_linear("out", labels, 2 * hidden))
    # One number for regression; for a choice one score for each way to go on, compared across them.
    outputs = 1 if kind in ("regression", "choice") else labels
    inner: tuple[Parameter, ...] = ()
    if inner_activation(config, kind, style):
        # `pooled_dense` is the same whatever the family: biases, and no LayerNorm.
        stock = row.head if style == "stock" else parts.Head()
        inner = tuple(tensors("head", 0, "head.", linear("dense", hidden, hidden, bias=stock.dense_bias), config))
        if stock.norm:
            inner += tuple(tensors("head_layernorm", 0, "head.", layernorm("norm", hidden, bias=stock.norm), config))
    bias = row.head.bias or style != "stock" or kind == "token"
    return (*inner, *_linear("out", outputs, hidden, bias))


def inner_activation(config: dict[str, Any], kind: str, style: Style) -> str | None:
    """The activation of the head's inner dense layer; None where the head has none."""
    if kind in ("token", "span") or style == "linear":
        return None
    if style == "pooled_dense":
        return "tanh"
    config = complete(config)
    # A row names the activation itself, or the config's key that names it.
    named = architecture(config["model_type"]).head.dense
    return None if named is None else str(config.get(named, named))


def dropouts(config: dict[str, Any], kind: str, style: Style) -> tuple[float | None, float]:
    """The head's dropout before its inner dense layer (None: none there) and before its output layer."""
    config = complete(config)
    head = architecture(config["model_type"]).head
    # Dropout behind the pooler, where there is one, is the one before the output layer.
    of_tokens = head.token_dropout if kind == "token" else None
    last = _first_set(config, head.dropout if of_tokens is None else of_tokens)
    if inner_activation(config, kind, style) is None:
        return None, last
    if style == "pooled_dense":
        return last, last
    return (_first_set(config, head.first_dropout) if head.first_dropout else None), last


def averages(config: dict[str, Any], kind: str, style: Style) -> bool:
    """Whether the head reads the mean of a sequence's tokens, not one of them."""
    pooling = architecture(str(config.get("model_type"))).head.pooling
    return kind not in ("token", "span") and style == "stock" and pooling is not None and config[pooling] == "mean"


def _first_set(config: dict[str, Any], keys: tuple[str, ...]) -> float:
    return float(next((config[key] for key in keys if config.get(key) is not None), 0.0))


def _linear(name: str, outputs: int, inputs: int, bias: bool = True) -> list[Parameter]:
    return tensors("head", 0, "head.", linear(name, outputs, inputs, bias=bias), {})
