"""Putting what a strategy inserts or gathers into a network: modules get the class that computes it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from peftcli.engine import injection
from peftcli.engine.dropout import RunDropout
from peftcli.engine.modules import AdapterLinear, LoraLinear, PatchedLinear, SparseEmbedding, SparseLinear
from peftcli.engine.network import Network
from peftcli.engine.sparse import Places
from peftcli.strategies.tuning import Bottleneck, Lora, Tuning

GATHER_BELOW = 0.002  # density under which gathering beats a dense gradient (measured: results/bench)


def install(network: Network, tuning: Tuning, index: dict[str, Tensor]) -> None:
    """Give modules the class that computes what is inserted, and placeholders for the tensors it needs."""
    if tuning.injected is not None:
        network.backbone, network.stream = injection.install(tuning.injected, network.backbone), False
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
        if network.stream and name.endswith("weight") and name not in network.fresh and not tuning.start:
            _gather(module, places, places.shape[1] / network.anatomy.by_name[name].size)


def _gather(module: Any, places: Tensor, density: float) -> None:
    """An embedding always gathers, since a batch touches few of its rows; a linear layer where few elements train."""
    if isinstance(module, nn.Embedding):
        module.__class__ = SparseEmbedding
        _placeholders(module, ("delta", "delta_index"))
    elif not isinstance(module, nn.Linear) or module.bias is None or density >= GATHER_BELOW:
        return
    elif len(places) > 1:
        module.__class__ = SparseLinear
        _placeholders(module, ("delta", "delta_index"))
    else:
        module.__class__ = PatchedLinear
        _placeholders(module, ("value",))
        module.register_buffer("patched", module.weight.detach().clone(), persistent=False)
        own, width = places[0].to(module.weight.device), module.in_features
        setattr(module, "places", Places(own[None], own[None, None] // width, own[None, None] % width))  # noqa: B010 (a module takes tensors only)


def _placeholders(module: nn.Module, names: Sequence[str] | dict[str, tuple[int, ...]]) -> None:
    for name in names:
        module.register_buffer(name, torch.empty(0), persistent=False)
