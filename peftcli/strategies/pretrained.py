"""One run's weights as a strategy sees them: by name, with the run's own generator and, if asked, training gradients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# What of each batch's gradient is added up: itself, its absolute values, or itself after clipping to norm 1 as while training.
Summed = Literal["gradients", "magnitudes", "clipped"]


@dataclass(frozen=True)
class Pretrained:
    """The tensors of one run before training, pre-trained ones and its own head (and pooler, where that is fresh).

    Pre-trained ones are as they were loaded, some models' in bfloat16: `widened` before anything is worked out of them.

    `generator` is the run's stream for masks. `gradient(batches, summed)` is the training gradient of every tensor at the
    start by name: of the mean loss over the whole training set, or of so many batches, summed in one of three ways.
    """

    weights: Mapping[str, Tensor]
    generator: torch.Generator
    config: Mapping[str, Any]
    gradient: Callable[[int | None, Summed], dict[str, Tensor]]

    def initial(self, name: str) -> Tensor:
        """Draw a tensor as before pre-training: normal weights, zero biases, LayerNorm gains of one."""
        return draw(name, self.weights[name], self.generator, self.config)


def generator(seed: int, name: str) -> torch.Generator:
    """A run's named random stream, on the CPU whatever the device."""
    import torch

    # Named, so that masks, heads and injected modules draw independently; 63 bits, so that no seed is negative.
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def widened(tensor: Tensor) -> Tensor:
    """The same values in float32 at least, exactly: the tensor itself where it is no narrower."""
    import torch

    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def draw(name: str, like: Tensor, source: torch.Generator, config: Mapping[str, Any]) -> Tensor:
    """Draw a tensor's values as the architectures do before pre-training (standard deviation `initializer_range`).

    In the precision of `like`, and in float32 at least: what is drawn was never rounded to the precision of a file.
    """
    import torch

    precision = torch.promote_types(like.dtype, torch.float32)
    if name.endswith("bias"):
        return torch.zeros_like(like, dtype=precision)
    if like.ndim == 1:
        return torch.ones_like(like, dtype=precision)
    deviation = float(config.get("initializer_range", 0.02))
    # Drawn in float32 on the CPU, so that the values are the same whatever the precision and device.
    drawn = torch.empty(like.shape, dtype=torch.float32).normal_(0, deviation, generator=source)
    if name.endswith("word_embeddings.weight") and config.get("pad_token_id") is not None:
        drawn[int(config["pad_token_id"])] = 0  # as nn.Embedding has it at its padding index
    return drawn.to(like.device, precision)
