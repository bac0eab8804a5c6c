"""Layers whose tensors may have a leading run dimension: frozen ones are shared, trained ones are `[runs, …]`.

They replace torch's own in a loaded model (`accepting`). Each looks at its tensors' dimensions and at nothing else; with one
run the run dimension is dropped and torch's plain operation runs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from peftcli.engine.dropout import RunDropout
from peftcli.engine.lookup import add_elements
from peftcli.engine.matmul import product
from peftcli.engine.sparse import ElementPositions, SparseElements, patched_linear, sparse_linear


def single(tensor: Tensor, shared: int) -> Tensor:
    """Drop the run dimension of a tensor with one run; `shared` is the number of dimensions without it."""
    return tensor.squeeze(0) if tensor.ndim > shared else tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply x [runs, tokens, in] by a shared weight [out, in] or the runs' own [runs, out, in], and add the bias.

    `bias` [out], [runs, out] or None. Returns [runs, tokens, out].
    """
    # What is trained is kept in float32; the product is in the precision of what comes in.
    weight = single(weight, 2).to(x.dtype)
    bias = None if bias is None else single(bias, 1).to(x.dtype)
    if weight.ndim == 2 and (bias is None or bias.ndim == 1):
        return product(x, weight, bias)  # all runs' tokens in one product
    if bias is None:
        return torch.bmm(x, weight.mT)
    if weight.ndim == 2:
        return product(x, weight, None) + bias[:, None]
    return torch.baddbmm(bias.expand(len(x), -1)[:, None], x, weight.mT)


class RunLinear(nn.Linear):
    """A linear layer on [runs, tokens, in]."""

    @property
    def matrix(self) -> Tensor:
        """What it multiplies by, [out, in] or [runs, out, in]."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """Compute [runs, tokens, out] from x [runs, tokens, in]."""
        return linear(x, self.matrix, self.bias)


class Transposed(nn.Module):
    """What a layer multiplies by where its weight is [in, out], as GPT-2's are."""

    weight: Tensor

    @property
    def matrix(self) -> Tensor:
        """The weight turned, [out, in] or [runs, out, in]."""
        return self.weight.mT


class RunTransposedLinear(Transposed, Conv1D):  # type: ignore[misc]  # transformers has no types
    """A linear layer on [runs, tokens, in] whose weight is [in, out]."""

    bias: Tensor

    # Of transformers' class still, by which the peft package knows how its weight lies.
    def forward(self, x: Tensor) -> Tensor:
        """Compute [runs, tokens, out] from x [runs, tokens, in]."""
        return linear(x, self.matrix, self.bias)


class LoraLinear(RunLinear):
    """A linear layer with two thin trained matrices beside it (Hu et al., 2021, equation 3)."""

    lora_a: Tensor  # [runs, rank, in]
    lora_b: Tensor  # [runs, out, rank]
    scaling: float
    lora_dropout: RunDropout

    def forward(self, x: Tensor) -> Tensor:
        """Compute [runs, tokens, out] from x [runs, tokens, in]."""
        thin = linear(self.lora_dropout(x), self.lora_a, None)  # [runs, tokens, rank]
        return super().forward(x) + linear(thin, self.lora_b * self.scaling, None)


class LoraTransposedLinear(Transposed, LoraLinear):
    """A layer with a transposed weight and two thin matrices."""


class SparseLinear(RunLinear):
    """A linear layer of which each run trains a few elements of the weight, as differences to the shared one."""

    delta: Tensor  # [runs, elements]
    elements: SparseElements

    def forward(self, x: Tensor) -> Tensor:
        """Compute [runs, tokens, out] from x [runs, tokens, in]."""
        return sparse_linear(x, self.matrix, single(self.bias, 1), self.delta, self.elements)


class SparseTransposedLinear(Transposed, SparseLinear):
    """A layer with a transposed weight of which each run trains a few elements."""


class PatchedLinear(RunLinear):
    """The same for one run alone, with a weight of its own to which its elements are written: a plain layer.

    A cohort has no such copies: they would be a whole matrix for every run.
    """

    value: Tensor  # [1, elements]
    patched: Tensor  # [out, in]
    positions: ElementPositions

    def forward(self, x: Tensor) -> Tensor:
        """Compute [1, tokens, out] from x [1, tokens, in]."""
        return patched_linear(x, self.value, self.patched, self.positions, single(self.bias, 1))


class RunEmbedding(nn.Embedding):
    """An embedding of [runs, tokens] ids."""

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids [runs, tokens]: [runs, tokens, hidden]."""
        weight = single(self.weight, 2)
        if weight.ndim == 2:
            return F.embedding(ids, weight)
        # All runs' tables lie one behind another, [runs * rows, hidden], and a run's ids count from its own.
        offsets = torch.arange(len(ids), device=ids.device)[:, None] * weight.shape[1]
        return F.embedding(ids + offsets, weight.flatten(0, 1))


class SparseEmbedding(RunEmbedding):
    """An embedding of which each run trains a few elements, as differences to the shared one, added where a batch reads them."""

    delta: Tensor  # [runs, elements]
    # Of the batch, by `Lookup.pairs`: a token's number and the element that is added to it [pairs] …
    target: Tensor
    element: Tensor
    # … the elements that occur [touched], and where their pairs start [touched + 1].
    touched: Tensor
    starts: Tensor

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids [runs, tokens]: [runs, tokens, hidden]."""
        assert self.starts.numel(), "this batch was laid out without the network's lookups"
        pairs = (self.target, self.element, self.touched, self.starts)
        return add_elements(self.delta, ids, single(self.weight, 2), pairs)


class _Scaled(nn.Embedding):
    """An embedding whose rows are multiplied by one number, as Gemma's are by the root of their width."""

    embed_scale: Tensor  # []

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids [runs, tokens]: [runs, tokens, hidden]."""
        looked_up: Tensor = super().forward(ids)
        return looked_up * self.embed_scale.to(looked_up.dtype)


class RunScaledEmbedding(_Scaled, RunEmbedding):
    """A scaled embedding of [runs, tokens] ids."""


class SparseScaledEmbedding(_Scaled, SparseEmbedding):
    """A scaled embedding of which each run trains a few elements."""


class RunConv1d(nn.Conv1d):
    """A convolution over grids, [runs * batch, channels, tokens], in the precision of what comes in."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x [runs * batch, in, tokens]: [runs * batch, out, tokens]."""
        # What is trained is kept in float32.
        weight = single(self.weight, 3).to(x.dtype)
        bias = None if self.bias is None else single(self.bias, 1).to(x.dtype)
        if weight.ndim == 3 and (bias is None or bias.ndim == 1):
            return self._convolve(x, weight, bias)
        if weight.ndim == 3:
            y = self._convolve(x, weight, None)
        else:
            # Run by run: on a processor 0.8 of the time of one convolution of as many groups.
            y = torch.cat([self._convolve(*of_run, None) for of_run in zip(x.chunk(len(weight)), weight, strict=True)])
        if bias is None:
            return y
        bias = bias[None] if bias.ndim == 1 else bias
        return (y.view(len(bias), -1, *y.shape[1:]) + bias[:, None, :, None]).view(y.shape)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        result: Tensor = self._conv_forward(x, weight, bias)
        return result
