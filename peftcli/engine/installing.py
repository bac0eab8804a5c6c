"""Putting what a strategy inserts or gathers into a network: modules get the class that computes it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from peftcli.engine.dropout import RunDropout
from peftcli.engine.modules import AdapterLinear, LoraLinear, SparseEmbedding, SparseLinear
from peftcli.engine.network import Network
from peftcli.tuning import Bottleneck, Lora, Tuning

GATHER_BELOW = 0.002  # density under which gathering beats a dense gradient (measured: results/bench)


def install(network: Network, tuning: Tuning, index: dict[str, Tensor]) -> None:
    """Give modules the class that computes what is inserted, and placeholders for the tensors it needs."""
    if tuning.injected is not None:
        network.backbone, network.stream = tuning.injected.install(network.backbone), False
    for name, insertion in tuning.insert.items():
        module: Any = network.get_submodule(network.module_name(name))
        if isinstance(insertion, Lora):
            module.__class__ = LoraLinear
            module.scaling = insertion.alpha / insertion.rank
            module.lora_dropout = RunDropout(insertion.dropout)
        elif isinstance(insertion, Bottleneck):
            module.__class__ = AdapterLinear
            module.activation = ACT2FN[insertion.activation]
        weight = network.anatomy.by_name[f"{name}.weight"].shape
        _placeholders(module, insertion.shapes(*weight))
    for name, places in index.items():
        module = network.get_submodule(network.module_name(name.rpartition(".")[0]))
        sparse = _sparse_class(module, places.shape[1] / network.anatomy.by_name[name].size)
        if network.stream and name.endswith("weight") and sparse and name not in network.fresh and not tuning.start:
            module.__class__ = sparse
            _placeholders(module, ("delta", "delta_index"))
            if sparse is SparseLinear:
                patched = module.weight.detach().clone() if len(places) == 1 else torch.empty(0)
                module.register_buffer("patched", patched, persistent=False)


def _sparse_class(module: nn.Module, density: float) -> type[nn.Module] | None:
    """An embedding always gathers, since a batch touches few of its rows; a linear layer where few elements train."""
    if isinstance(module, nn.Embedding):
        return SparseEmbedding
    gathers = isinstance(module, nn.Linear) and module.bias is not None and density < GATHER_BELOW
    return SparseLinear if gathers else None


def _placeholders(module: nn.Module, names: Sequence[str] | dict[str, tuple[int, ...]]) -> None:
    for name in names:
        module.register_buffer(name, torch.empty(0), persistent=False)
