"""Layers whose tensors may have a leading run dimension: frozen ones are shared, trained ones are `[runs, …]`.

They take the place of torch's own in a loaded model (`accept_runs`); names and checkpoints stay as they are. Each looks at
its tensors' dimensions and at nothing else; with one run the run dimension is dropped and torch's plain operation runs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftcli.engine.dropout import RepeatedDropout, RunDropout
from peftcli.engine.matmul import product
from peftcli.engine.sparse import Places, patched_linear, sparse_linear


def single(tensor: Tensor, shared: int) -> Tensor:
    """Drop the run dimension of a tensor with one run; `shared` is the number of dimensions without it."""
    return tensor.squeeze(0) if tensor.ndim > shared else tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply [runs, tokens, in] by a shared [out, in] or a run's own [runs, out, in] weight, and add the bias."""
    weight = single(weight, 2).to(x.dtype)
    bias = None if bias is None else single(bias, 1).to(x.dtype)
    if weight.ndim == 2 and (bias is None or bias.ndim == 1):
        return product(x, weight, bias)
    if bias is None:
        return torch.bmm(x, weight.mT)
    if weight.ndim == 2:
        return product(x, weight, None) + bias[:, None]
    return torch.baddbmm(bias.expand(len(x), -1)[:, None], x, weight.mT)


class RunLinear(nn.Linear):
    """A linear layer on [runs, tokens, in]."""

    def forward(self, x: Tensor) -> Tensor:
        """Give [runs, tokens, out]."""
        return linear(x, self.weight, self.bias)


class LoraLinear(RunLinear):
    """A linear layer with two thin trained matrices beside it (Hu et al., 2021, equation 3)."""

    lora_a: Tensor  # [runs, rank, in]
    lora_b: Tensor  # [runs, out, rank]
    scaling: float
    lora_dropout: RunDropout

    def forward(self, x: Tensor) -> Tensor:
        """Give [runs, tokens, out]."""
        thin = linear(self.lora_dropout(x), self.lora_a, None)
        return super().forward(x) + linear(thin, self.lora_b * self.scaling, None)


class AdapterLinear(RunLinear):
    """A linear layer with a bottleneck network behind it, which adds to the layer's output."""

    adapter_down: Tensor  # [runs, size, out]
    adapter_down_bias: Tensor
    adapter_up: Tensor  # [runs, out, size]
    adapter_up_bias: Tensor
    activation: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Give [runs, tokens, out]."""
        y = super().forward(x)
        thin = self.activation(linear(y, self.adapter_down, self.adapter_down_bias))
        return y + linear(thin, self.adapter_up, self.adapter_up_bias)


class SparseLinear(RunLinear):
    """A linear layer of which each run trains a few elements of the weight, as differences to the shared one."""

    delta: Tensor  # [runs, elements]
    delta_index: Tensor  # [runs, elements], places in the flat weight

    def forward(self, x: Tensor) -> Tensor:
        """Give [runs, tokens, out]."""
        return sparse_linear(x, self.weight, single(self.bias, 1), self.delta, self.delta_index)


class PatchedLinear(RunLinear):
    """The same for one run alone, with a weight of its own to which its elements are written: a plain layer."""

    value: Tensor  # [1, elements]
    patched: Tensor  # [out, in]
    places: Places

    def forward(self, x: Tensor) -> Tensor:
        """Give [1, tokens, out]."""
        return patched_linear(x, self.value, self.patched, self.places, single(self.bias, 1))


class RunLayerNorm(nn.LayerNorm):
    """A LayerNorm on [runs, tokens, hidden]; trained gains and biases work in their own precision."""

    def forward(self, x: Tensor) -> Tensor:
        """Give [runs, tokens, hidden] in the precision of x."""
        return self._normalize(x.to(torch.promote_types(x.dtype, self.weight.dtype))).to(x.dtype)

    def _normalize(self, x: Tensor) -> Tensor:
        weight = single(self.weight, 1).to(x.dtype)
        bias = torch.zeros_like(weight) if self.bias is None else single(self.bias, 1).to(x.dtype)
        if weight.ndim == bias.ndim == 1:
            return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)
        normal = F.layer_norm(x, self.normalized_shape, None, None, self.eps)
        weight, bias = (t[:, None] if t.ndim == 2 else t for t in (weight, bias))
        return torch.addcmul(bias, normal, weight)


class RunEmbedding(nn.Embedding):
    """An embedding of [runs, tokens] ids."""

    def forward(self, ids: Tensor) -> Tensor:
        """Give [runs, tokens, hidden]."""
        weight = single(self.weight, 2)
        if weight.ndim == 2:
            return F.embedding(ids, weight)
        offsets = torch.arange(len(ids), device=ids.device)[:, None] * weight.shape[1]
        return F.embedding(ids + offsets, weight.flatten(0, 1))


class SparseEmbedding(RunEmbedding):
    """An embedding of which each run trains a few elements: those that a batch's own ids meet are found and added."""

    delta: Tensor  # [runs, elements]
    delta_index: Tensor  # [runs, elements], places in the flat weight, ascending

    def forward(self, ids: Tensor) -> Tensor:
        """Give [runs, tokens, hidden]."""
        base = super().forward(ids)
        rows, width = self.weight.shape[-2:]
        before = torch.arange(len(ids), device=ids.device)[:, None] * rows
        trained, wanted = (self.delta_index // width + before).flatten(), (ids + before).flatten()
        first, last = (torch.searchsorted(trained, wanted, right=right) for right in (False, True))
        met = last - first
        token = torch.repeat_interleave(met)
        element = torch.arange(len(token), device=ids.device) + (last - met.cumsum(0)).index_select(0, token)
        place = token * width + (self.delta_index % width).flatten().index_select(0, element)
        changes = self.delta.flatten().index_select(0, element)
        return base.to(changes.dtype).flatten().scatter_add(0, place, changes).view(base.shape).to(base.dtype)


_RUN_KIND: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: RunLinear,
    nn.LayerNorm: RunLayerNorm,
    nn.Embedding: RunEmbedding,
}


def accept_runs(model: nn.Module, repeated: bool = False) -> nn.Module:
    """Turn a model's layers into ones that accept a run dimension, in place, and freeze everything.

    `repeated`: its layers run several times in one forward pass.
    """
    for module in list(model.modules()):
        module.__class__ = _RUN_KIND.get(type(module), type(module))
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, RepeatedDropout(child.p) if repeated else RunDropout(child.p))
    return model.requires_grad_(False)
