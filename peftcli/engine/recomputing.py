"""Blocks that keep what goes into them alone, and are computed again in the backward pass: less memory for one forward pass more.

transformers' own switch would run a block again when `functional_call` has put the module's own tensors back: with frozen
ones where a run trains others, and gradients silently wrong. Here a block is a function of its tensors (dropout's numbers are
among them) and of what goes in, which finds the same both times.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from peftcli.engine.dropout import RepeatedDropout


class _Alone(nn.Module):
    """What a block of class `kind` computes, as a module around it."""

    def __init__(self, block: nn.Module, kind: type[nn.Module]) -> None:
        super().__init__()
        self.block, self.kind = block, kind

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Compute what the block does, all of it kept."""
        return self.kind.forward(self.block, *inputs, **named)


def recompute(model: nn.Module, blocks: Iterable[str]) -> None:
    """Have the blocks of these names be computed again in the backward pass, in place."""
    for name in blocks:
        block: Any = model.get_submodule(name)
        block.__class__ = _recomputed(block.__class__)


@cache
def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    """The class of a block of class `kind` that is computed again."""

    class Recomputed(kind):  # type: ignore[valid-type,misc]
        def forward(self, *inputs: Any, **named: Any) -> Any:
            """Compute what the block does, and keep what goes in."""
            if not torch.is_grad_enabled():
                return kind.forward(self, *inputs, **named)
            # The tensors that stand in the module now: `functional_call` has put them there for this forward pass alone.
            tensors: dict[str, Tensor] = dict(self.named_parameters(remove_duplicate=False))
            tensors |= self.named_buffers(remove_duplicate=False)
            replaced = {f"block.{name}": tensor for name, tensor in tensors.items()}
            alone = _Alone(self, kind)
            # Shared layers are drawn for by how often they ran: the second time counts from where the first did.
            counts = [(module, module.calls) for module in self.modules() if isinstance(module, RepeatedDropout)]

            def compute(*inputs: Any, **named: Any) -> Any:
                for module, calls in counts:
                    module.calls = calls
                return functional_call(alone, replaced, inputs, named, tie_weights=False)

            # Dropout is hashed: there is no random state to preserve.
            return checkpoint(compute, *inputs, use_reentrant=False, preserve_rng_state=False, **named)

    Recomputed.__name__ = Recomputed.__qualname__ = f"Recomputed{kind.__name__}"
    return Recomputed
