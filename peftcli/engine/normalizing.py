"""LayerNorms and RMSNorms whose gains may have a leading run dimension; what is normalised is `[runs, …, width]`."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftcli.engine.modules import single


class RunLayerNorm(nn.LayerNorm):
    """A LayerNorm on [runs, tokens, hidden]; trained gains and biases work in their own precision."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x [runs, tokens, hidden], in its precision."""
        # In bfloat16 a gain near 1 does not move at small rates: a step is under half the gap to the next number. So a trained
        # gain stays in float32, and the layer computes in it.
        return self._normalize(x.to(torch.promote_types(x.dtype, self.weight.dtype))).to(x.dtype)

    def _normalize(self, x: Tensor) -> Tensor:
        weight = single(self.weight, 1).to(x.dtype)  # [hidden] or [runs, hidden]
        bias = torch.zeros_like(weight) if self.bias is None else single(self.bias, 1).to(x.dtype)
        if weight.ndim == bias.ndim == 1:
            return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)
        normal = F.layer_norm(x, self.normalized_shape, None, None, self.eps)
        weight, bias = (t[:, None] if t.ndim == 2 else t for t in (weight, bias))
        return torch.addcmul(bias, normal, weight)


class RunRMSNorm(nn.Module):
    """An RMSNorm (Zhang and Sennrich, 2019, equation 4) on [runs, tokens, hidden], or on heads, [runs, …, width]."""

    weight: Tensor  # [width] or [runs, width]
    variance_epsilon: float

    def forward(self, x: Tensor) -> Tensor:
        """Divide x [runs, …, width] by its root mean square and multiply it by the gain, in its precision."""
        # The mean square is worked out in float32 at least, and a trained gain stays in it, as in a LayerNorm.
        normal = _over_root_mean_square(x, self.variance_epsilon)
        return (normal.to(torch.promote_types(x.dtype, self.weight.dtype)) * _beside(self.weight, x)).to(x.dtype)


class RunOffsetRMSNorm(nn.Module):
    """Gemma's RMSNorm: its gain is 1 + the weight, and multiplies before anything is rounded."""

    weight: Tensor  # [width] or [runs, width]
    eps: float

    def forward(self, x: Tensor) -> Tensor:
        """Divide x [runs, …, width] by its root mean square and multiply it by the gain, in its precision."""
        normal = _over_root_mean_square(x, self.eps)
        return (normal * (1.0 + _beside(self.weight, x).to(normal.dtype))).to(x.dtype)


def _over_root_mean_square(x: Tensor, epsilon: float) -> Tensor:
    """x [runs, …, width] over its root mean square, in float32 at least."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)


def _beside(gain: Tensor, x: Tensor) -> Tensor:
    """A gain [width] as it is, or the runs' own [runs, width] as [runs, 1, …, width] beside x [runs, …, width]."""
    # Not left to broadcasting: it would take runs for tokens wherever there are as many.
    gain = single(gain, 1)
    return gain if gain.ndim == 1 else gain.view(len(gain), *[1] * (x.ndim - 2), -1)
