"""Weight-decomposed low-rank adaptation: thin matrices turn each row of a weight, a trained magnitude is its length."""

import torch
from torch import Tensor

from peftcli.engine.modules import LoraLinear, RunLinear, Transposed, linear


def row_norms(weight: Tensor) -> Tensor:
    """The norms [..., out] of a weight's rows [..., out, in], in float32 at least: where magnitudes start."""
    return _root(_squares(weight))


@torch.no_grad()
def turned_norms(weight: Tensor, lora_a: Tensor, lora_b: Tensor) -> Tensor:
    """The norms [runs, out] of the rows of W + B A, in float32 at least.

    W [out, in] or the runs' own [runs, out, in]; A [runs, rank, in]; B [runs, out, rank], the scaling in it.
    """
    wide = torch.promote_types(weight.dtype, torch.float32)
    a, b = lora_a.to(wide), lora_b.to(wide)
    # Row by row |w + bA|² = |w|² + 2 b·(A w) + b (A Aᵀ) bᵀ: so that no run needs a matrix of the weight's size.
    across = (b * (a @ weight.to(wide).mT).mT).sum(-1)
    squares = _squares(weight) + 2 * across + (b @ (a @ a.mT) * b).sum(-1)
    return _root(squares)


def _squares(weight: Tensor) -> Tensor:
    """The sums of squares [..., out] of a weight's rows, in float32 at least."""
    return weight.to(torch.promote_types(weight.dtype, torch.float32)).square().sum(-1)


def _root(squares: Tensor) -> Tensor:
    """The root of sums of squares, never zero: a row of zeros has no direction, and still is divided by its norm."""
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()


class DoraLinear(LoraLinear):
    """A linear layer of the weight m (W + B A) / |W + B A|, row by row (Liu et al., 2024, equation 5).

    The norms are constants in the backward pass (their section 4.3). Dropout falls on what the difference to the frozen
    layer reads, W's part of it included, as in the peft package.
    """

    lora_magnitude: Tensor  # [runs, out]

    def forward(self, x: Tensor) -> Tensor:
        """Compute [runs, tokens, out] from x [runs, tokens, in]."""
        whole, dropped = RunLinear.forward(self, x), self.lora_dropout(x)
        b = self.lora_b * self.scaling
        scale = self.lora_magnitude / turned_norms(self.matrix, self.lora_a, b)  # [runs, out]
        # What the magnitudes add to the frozen layer's output: near 0, so that bfloat16 keeps all its digits.
        more = scale - 1
        if dropped is not x:
            plain, offset = linear(dropped, self.matrix, None), None
        else:  # W x is there already, beside a bias that no magnitude scales
            plain, offset = whole, None if self.bias is None else -more * self.bias
        # Small tensors are scaled rather than what is as large as the output.
        thin = linear(linear(dropped, self.lora_a, None), b * scale[..., None], offset)
        return torch.addcmul(whole + thin, plain, more.unsqueeze(-2).to(x.dtype))


class DoraTransposedLinear(Transposed, DoraLinear):
    """The same of a layer whose weight is [in, out]."""
