"""Bottleneck networks behind modules of a backbone: each module's class becomes one that computes it too."""

from functools import cache
from typing import Any

from torch import Tensor, nn

from peftcli.engine.modules import linear
from peftcli.engine.normalizing import RunLayerNorm


class Adapter(nn.Module):
    """What a module with a bottleneck network has besides its own tensors."""

    adapter_down: Tensor  # [runs, size, hidden]
    adapter_down_bias: Tensor  # [runs, size]
    adapter_up: Tensor  # [runs, hidden, size]
    adapter_up_bias: Tensor  # [runs, hidden]
    adapter_activation: nn.Module

    def bottleneck(self, x: Tensor) -> Tensor:
        """Compute up(activation(down(x))) of x [runs, tokens, hidden], of its shape."""
        thin = self.adapter_activation(linear(x, self.adapter_down, self.adapter_down_bias))  # [runs, tokens, size]
        return linear(thin, self.adapter_up, self.adapter_up_bias)


class AdapterLayerNorm(Adapter, RunLayerNorm):
    """A LayerNorm N of a sum s of a sub-layer's output and its input that makes N(s + b(N(s))) (Pfeiffer et al., 2021)."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute [runs, tokens, hidden] from the sum x [runs, tokens, hidden]."""
        # The same LayerNorm twice: before the bottleneck, and behind the sum that it adds to.
        return super().forward(x + self.bottleneck(super().forward(x)))


@cache
def behind(kind: type[nn.Module]) -> type[nn.Module]:
    """The class of modules of a kind that put y + b(y) out, where they put y out, [runs, tokens, hidden]."""

    # Any module may be one by which a sub-layer ends: a linear layer, the dropout behind it, the identity, a whole layer.
    def forward(self: Any, *inputs: Any, **named: Any) -> Tensor:
        y: Tensor = kind.forward(self, *inputs, **named)
        added: Tensor = self.bottleneck(y)
        return y + added

    return type(f"{kind.__name__}WithAdapter", (Adapter, kind), {"forward": forward})
