"""Layers whose tensors may have a leading run dimension: frozen ones are shared, trained ones are `[runs, …]`.

They take the place of torch's own in a loaded model (`accept_runs`); names and checkpoints stay as they are. Each looks at
its tensors' dimensions and at nothing else; with one run the run dimension is dropped and torch's plain operation runs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftcli.engine import noise
from peftcli.engine.sparse import sparse_linear


def single(tensor: Tensor, shared: int) -> Tensor:
    """Drop the run dimension of a tensor with one run; `shared` is the number of dimensions without it."""
    return tensor[0] if tensor.ndim > shared and tensor.shape[0] == 1 else tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply [runs, tokens, in] by a shared [out, in] or a run's own [runs, out, in] weight, and add the bias."""
    weight = single(weight, 2).to(x.dtype)
    bias = None if bias is None else single(bias, 1).to(x.dtype)
    if weight.ndim == 2 and (bias is None or bias.ndim == 1):
        return F.linear(x, weight, bias)
    if bias is None:
        return torch.bmm(x, weight.mT)
    if weight.ndim == 2:
        return F.linear(x, weight) + bias[:, None]
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
    lora_dropout: "RunDropout"

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
    """An embedding of which each run trains a few elements: only the rows of a batch's own ids are put together."""

    delta: Tensor  # [runs, elements]
    delta_index: Tensor  # [runs, elements], places in the flat weight

    def forward(self, ids: Tensor) -> Tensor:
        """Give [runs, tokens, hidden]."""
        present, place = torch.unique(ids, return_inverse=True)
        width = self.weight.shape[-1]
        slot = torch.full((self.weight.shape[-2],), len(present), device=ids.device)
        slot[present] = torch.arange(len(present), device=ids.device)
        at = slot[self.delta_index // width] * width + self.delta_index % width
        base = self.weight.index_select(-2, present)
        changes = self.delta.new_zeros(len(ids), (len(present) + 1) * width).scatter_add(1, at, self.delta)
        rows = (base + changes.view(len(ids), -1, width)[:, :-1]).to(base.dtype)
        offsets = torch.arange(len(ids), device=ids.device)[:, None] * len(present)
        return F.embedding(place + offsets, rows.flatten(0, 1))


class RunDropout(nn.Module):
    """Dropout whose mask is a hash of (run, step, site, token, channel); no key, no dropout.

    A key without a run dimension means that `x` is one run's, of any shape; its last dimension is the channels.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.register_buffer("key", torch.empty(0, dtype=torch.int32), persistent=False)

    key: Tensor  # [runs], given for each training step

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of [runs, tokens, channels]."""
        if not self.key.numel() or self.p == 0:
            return x
        key = self.draw()
        tokens = torch.arange(x[..., 0].numel() if key.ndim == 0 else x.shape[1], device=x.device)
        counted = (
            noise.rows(key, tokens).view(x.shape[:-1]) if key.ndim == 0 else noise.rows(key[:, None], tokens[None])
        )
        return x * noise.keep(counted, x.shape[-1], self.p) * noise.scale(self.p)

    def draw(self) -> Tensor:
        """Give the key of this use."""
        return self.key


class RepeatedDropout(RunDropout):
    """Dropout of a layer that runs several times in one forward pass, as shared layers do: every time with another key."""

    calls = 0  # since the forward pass began

    def draw(self) -> Tensor:
        """Give the key of this use."""
        self.calls += 1
        return self.key + (self.calls * noise.STRIDE) % 2**31


def restart(model: nn.Module) -> None:
    """Have every layer that runs several times count its uses anew: a forward pass begins."""
    for module in model.modules():
        if isinstance(module, RepeatedDropout):
            module.calls = 0


def attention_dropout(module: nn.Module) -> nn.Module | None:
    """Give the dropout of an attention module's probabilities."""
    found = getattr(module, "dropout", None)
    return getattr(module, "attention_dropout", None) if found is None else found


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
