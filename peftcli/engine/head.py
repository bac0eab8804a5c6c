"""The head of a task: what a backbone's hidden states become logits by."""

from collections.abc import Callable

from torch import Tensor, nn
from transformers.activations import ACT2FN

from peftcli.engine.dropout import RunDropout
from peftcli.engine.modules import RunLinear
from peftcli.engine.normalizing import RunLayerNorm
from peftcli.models.tensors import Parameter


class Head(nn.Module):
    """The trained head: dropout, an inner dense layer (and its LayerNorm) where the style has one, dropout, the output layer.

    Span tasks pool each span's tokens by a learnt attention and read both spans side by side.
    """

    dense: Callable[[Tensor], Tensor]
    out: Callable[[Tensor], Tensor]
    span_attention: Callable[[Tensor], Tensor]

    def __init__(
        self,
        parameters: tuple[Parameter, ...],
        activation: str | None,
        dropouts: tuple[float | None, float],
        epsilon: float,
    ) -> None:
        super().__init__()
        shapes = {p.name.removeprefix("head."): p.shape for p in parameters}
        for name in ("dense", "out", "span_attention"):
            if f"{name}.weight" in shapes:
                outputs, inputs = shapes[f"{name}.weight"]
                setattr(self, name, RunLinear(inputs, outputs, bias=f"{name}.bias" in shapes))
        hidden = shapes.get("norm.weight")
        self.norm = RunLayerNorm(hidden, epsilon, bias="norm.bias" in shapes) if hidden else None
        self.activation = ACT2FN[activation] if activation else None
        self.first_dropout = None if dropouts[0] is None else RunDropout(dropouts[0])
        self.dropout = RunDropout(dropouts[1])

    def forward(self, features: Tensor) -> Tensor:
        """Logits [runs, read, outputs] from features [runs, read, hidden]."""
        if self.first_dropout is not None:
            features = self.first_dropout(features)
        if self.activation is not None:
            features = self.activation(self.dense(features))
        if self.norm is not None:
            features = self.norm(features)
        return self.out(self.dropout(features))
