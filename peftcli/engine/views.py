"""Which keys a query sees: all of its sequence, what is around it, or what is before it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from peftcli.engine.streams import Layout


@dataclass(frozen=True)
class Windows:
    """How far a model's layers see, in tokens, the one that looks counted.

    `before` of a decoder's layers, None being everything before; `around` of an encoder's that do not see all of a sequence.
    """

    before: frozenset[int | None] = frozenset()
    around: frozenset[int] = frozenset()


WHOLE = Windows()  # every layer sees the whole sequence


def windows(config: Any, decoder: bool) -> Windows:
    """The windows of a model's layers, by its config as transformers' object."""
    kinds = getattr(config, "layer_types", None) or (["sliding_attention"] if decoder else [])
    window: Any = getattr(config, "sliding_window", None)
    if decoder:
        return Windows(before=frozenset(window if kind == "sliding_attention" else None for kind in kinds))
    # As an encoder's attention modules tell it: one more than how far they see.
    return Windows(around=frozenset({window + 1} if "sliding_attention" in kinds else ()))


@dataclass(frozen=True)
class View:
    """Which keys a query sees.

    Of an encoder, whose queries see all of their sequence: `mask` [runs * batch, 1, 1, longest], `hidden`
    [runs * batch * heads, 1, longest]; where they see what is around them, with a row for each query. Of a decoder
    [longest, longest] both, the same in all sequences and heads. `hidden` is added to scores: -inf where `mask` is False.
    """

    mask: Tensor
    hidden: Tensor


def views(layout: Layout, heads: int, dtype: torch.dtype, windows: Windows) -> dict[int | None, View]:
    """The view in each window, for attention with this many heads that computes in `dtype`."""
    if windows.before:
        longest, device = layout.mask.shape[-1], layout.mask.device
        return {window: _view_before(longest, window, dtype, device) for window in windows.before}
    around: dict[int | None, View] = {window: _view_around(layout, heads, window, dtype) for window in windows.around}
    return {None: _view_of_all(layout, heads, dtype), **around}


def _view_of_all(layout: Layout, heads: int, dtype: torch.dtype) -> View:
    """What an encoder's queries see: the tokens of their sequence."""
    batch, longest = layout.mask.shape[0], layout.mask.shape[-1]
    hidden = _hidden(layout.mask, dtype)
    return View(layout.mask, hidden.expand(-1, heads, -1, -1).reshape(batch * heads, 1, longest))


def _view_around(layout: Layout, heads: int, window: int, dtype: torch.dtype) -> View:
    """What an encoder's queries see in a layer with a window: the tokens of their sequence less than that far away."""
    batch, longest = layout.mask.shape[0], layout.mask.shape[-1]
    position = torch.arange(longest, device=layout.mask.device)
    away = (position[:, None] - position).abs()
    # Far behind a sequence's end a cell without a token would see nothing, over which a softmax is not a number: it sees itself.
    mask = (layout.mask & (away < window)) | (away == 0)  # [runs * batch, 1, longest, longest]
    return View(mask, _hidden(mask, dtype).expand(-1, heads, -1, -1).reshape(batch * heads, longest, longest))


def _view_before(longest: int, window: int | None, dtype: torch.dtype, device: torch.device) -> View:
    """What a decoder's queries see: themselves and the tokens before, at most `window` together."""
    # Cells without a token lie behind a sequence's end, so no token sees them. What they see themselves is read by nobody, and
    # is never nothing, over which a softmax would not be a number.
    position = torch.arange(longest, device=device)
    back = position[:, None] - position
    mask = back >= 0 if window is None else (back >= 0) & (back < window)
    return View(mask, _hidden(mask, dtype))


def _hidden(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores: -inf where no key is seen, of the mask's shape."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))
