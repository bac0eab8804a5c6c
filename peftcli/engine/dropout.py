"""Dropout whose mask is a hash of where it falls: a large one is not stored, the backward pass draws it again.

A hash, since a generator's numbers depend on what was drawn before: on the neighbours in a cohort, on the order of the layers, on
when a run was resumed. So a run has the same masks alone, in any cohort and after a restart, and no random state is saved.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from peftcli import noise
from peftcli.engine import fused

BLOCK = 1 << 18  # elements: on a processor the passes over one block find it in the cache
MOST_REPEATS = 1024  # uses of a shared layer in one forward pass


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, probability: float) -> Tensor:
        """Drop elements of x [..., channels]; `rows` [...]."""
        # A small mask is kept, as drawing it again would take longer; of a large one only the rows' numbers are.
        ctx.probability, ctx.small = probability, x.device.type == "cpu" and x.numel() <= BLOCK
        if not ctx.small:
            ctx.save_for_backward(rows)
            return _by_block(x, rows, probability)
        multipliers = _multipliers(x, rows, probability)
        ctx.save_for_backward(multipliers)
        return (x * multipliers).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Drop the same elements of the gradient [..., channels]."""
        (gradient,), (saved,) = gradients, ctx.saved_tensors
        if not ctx.small:
            return _by_block(gradient, saved, ctx.probability), None, None
        return (gradient * saved).to(gradient.dtype), None, None


def drop(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    """Drop elements of x [..., channels] by one number for each row of it (`noise.counting`, [...]), and scale up what stays."""
    result: Tensor = _Drop.apply(x, rows, probability)
    return result


def _multipliers(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    """What x [..., channels] is multiplied by, of its shape; in float32 at least, so 1 / (1 - p) is not rounded to bfloat16."""
    return noise.multipliers(rows, x.shape[-1], probability, torch.promote_types(x.dtype, torch.float32))


def _by_block(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    """Drop elements of x [..., channels] without keeping the mask; on a processor block by block."""
    if x.device.type != "cpu":
        return fused.dropped(x, rows, probability)
    width, dropped = x.shape[-1], torch.empty(x.shape, dtype=x.dtype)
    flat = (x.reshape(-1, width), rows.expand(x.shape[:-1]).reshape(-1), dropped.view(-1, width))
    for values, numbers, target in zip(*(part.split(max(1, BLOCK // width)) for part in flat), strict=True):
        torch.mul(values, _multipliers(values, numbers, probability), out=target)
    return dropped


class RunDropout(nn.Module):
    """Dropout whose mask is a hash of (run, step, site, token, channel); no key, no dropout.

    `key` is [runs, tokens], a number for each row of `x` (`Network.noise`); or, where a run goes through its encoder on
    a grid of its own, one key [] for `x` of any shape, and of a slice of a batch `in_grid` [2] (`Whole`). The last dimension
    of `x` is the channels.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.register_buffer("key", torch.empty(0, dtype=torch.int32), persistent=False)
        self.register_buffer("in_grid", torch.empty(0, dtype=torch.int32), persistent=False)

    key: Tensor  # replaced at each training step; empty in evaluation
    in_grid: Tensor  # replaced with it where a slice runs on a grid

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of [runs, tokens, channels]."""
        if not self.key.numel() or self.p == 0:
            return x
        key = self.draw()
        if key.ndim:
            return drop(x, key[:, : x.shape[1]], self.p)
        return drop(x, self._in_whole(key, x.shape[:-1]), self.p)

    def _in_whole(self, key: Tensor, shape: torch.Size) -> Tensor:
        """Numbers for rows [batch, …, tokens] of a grid: those that they draw in the whole batch's grid."""
        # What has no batch (DeBERTa's embeddings of distances) is the same in every slice.
        if len(shape) < 2 or not self.in_grid.numel():
            return noise.counting(key[None], shape.numel()).view(shape)
        before, wider = self.in_grid
        batch, *between, tokens = shape
        counts = [torch.arange(n, dtype=torch.int32, device=key.device) for n in (batch, math.prod(between), tokens)]
        row = ((counts[0] + before)[:, None] * len(counts[1]) + counts[1])[..., None] * (tokens + wider) + counts[2]
        return noise.at(key, row).view(shape)

    def draw(self) -> Tensor:
        """The key of this use, [runs, tokens] or []."""
        return self.key


class RepeatedDropout(RunDropout):
    """Dropout of a layer that runs several times in one forward pass, as shared layers do: every time with another key."""

    calls = 0  # since the forward pass began

    def draw(self) -> Tensor:
        """The key of this use, [runs, tokens] or []."""
        self.calls += 1
        return self.key * noise.odd(MOST_REPEATS, noise.REPEAT, self.key.device)[self.calls]


def restart(model: nn.Module) -> None:
    """Have every layer that runs several times count its uses anew: a forward pass begins."""
    for module in model.modules():
        if isinstance(module, RepeatedDropout):
            module.calls = 0


def attention_dropout(module: nn.Module) -> nn.Module | None:
    """The dropout of an attention module's probabilities, under one of the names that families have for it."""
    names = ("dropout", "attention_dropout", "attn_dropout")
    return next((child for name in names if (child := module._modules.get(name)) is not None), None)
