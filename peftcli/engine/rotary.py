"""Rotary positions whose angles are worked out in float32 at least: in float64 the libraries' own would be rounded to float32."""

from typing import Any

import torch
from torch import Tensor, nn


class RunRotary(nn.Module):
    """The cosines and sines that queries and keys are turned by (Su et al., 2021), one base for all layers."""

    inv_freq: Tensor  # [width / 2]
    attention_scaling: float

    @torch.no_grad()
    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [runs, tokens, width] of positions [runs, tokens], in the precision of x."""
        return _turns(x, position_ids, self.inv_freq, self.attention_scaling)


class RunRotaryByLayer(nn.Module):
    """The same where layers within a window have another base than those that see everything."""

    @torch.no_grad()
    def forward(self, x: Tensor, position_ids: Tensor, layer_type: str) -> tuple[Tensor, Tensor]:
        """Cosines and sines [runs, tokens, width] of positions [runs, tokens], in the precision of x."""
        frequencies: Any = getattr(self, f"{layer_type}_inv_freq")
        return _turns(x, position_ids, frequencies, getattr(self, f"{layer_type}_attention_scaling"))


def _turns(x: Tensor, positions: Tensor, frequencies: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
    precision = torch.promote_types(x.dtype, torch.float32)
    angles = positions[..., None].to(precision) * frequencies.to(precision)
    angles = torch.cat((angles, angles), dim=-1)
    return (angles.cos() * scaling).to(x.dtype), (angles.sin() * scaling).to(x.dtype)
