"""The tensors of a task's head, by task kind and style, with no torch: what `params` counts and the engine builds."""

from typing import Any, Literal

from peftcli.architectures import Parameter, architecture, number

Style = Literal["stock", "linear", "pooled_dense"]


def uses_pooler(config: dict[str, Any], kind: str, style: Style) -> bool:
    """Say whether the head reads the backbone's pooler; where it does not, the pooler is left out of the model.

    `stock` follows the architecture's own sequence classifier: BERT's reads its pooler, RoBERTa's has a dense layer in
    its place. Token and span heads read the hidden states themselves.
    """
    row = architecture(str(config.get("model_type")))
    if kind in ("token", "span") or row.pooler is None:
        return False
    return style != "stock" or row.head.dense is None


def parameters(config: dict[str, Any], kind: str, labels: int, style: Style) -> tuple[Parameter, ...]:
    """List a head's tensors: `labels` outputs (one for regression, one score for each choice)."""
    row = architecture(str(config.get("model_type")))
    hidden = number(config, row.hidden)
    if kind == "span":
        return (*_linear("span_attention", 1, hidden), *_linear("out", labels, 2 * hidden))
    outputs = 1 if kind in ("regression", "choice") else labels
    dense = _linear("dense", hidden, hidden) if inner_activation(config, kind, style) else ()
    return (*dense, *_linear("out", outputs, hidden))


def inner_activation(config: dict[str, Any], kind: str, style: Style) -> str | None:
    """Name the activation of the head's inner dense layer; None where the head has none."""
    if kind in ("token", "span") or style == "linear":
        return None
    if style == "pooled_dense":
        return "tanh"
    return architecture(str(config.get("model_type"))).head.dense


def _linear(name: str, outputs: int, inputs: int) -> tuple[Parameter, Parameter]:
    return (
        Parameter(f"head.{name}.weight", (outputs, inputs), "head"),
        Parameter(f"head.{name}.bias", (outputs,), "head"),
    )
