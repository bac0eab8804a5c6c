"""Putting what a strategy inserts or gathers into a network: modules get the class that computes it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from peftcli.engine import injection
from peftcli.engine.dropout import RunDropout
from peftcli.engine.modules import AdapterLinear, LoraLinear, PatchedLinear, SparseEmbedding, SparseLinear
from peftcli.engine.network import Network
from peftcli.engine.sparse import ElementPositions
from peftcli.strategies.tuning import Bottleneck, Lora, Tuning

GATHER_BELOW = 0.002  # density under which gathering beats a dense gradient (measured: results/bench)


def install(network: Network, tuning: Tuning, index: dict[str, Tensor]) -> None:
    """Turn modules into the class that computes what is inserted, with placeholders for the tensors it needs.

    `index` by name: positions [runs, elements] of the elements that train.
    """
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
        _add_placeholders(module, insertion.shapes(*weight))
    for name, positions in index.items():
        module = network.get_submodule(network.module_name(name.rpartition(".")[0]))
        # Elements are trained as differences to the shared weight. There is none where each run has a weight of its own (drawn,
        # or moved by the strategy), and a padded backbone gets whole tensors; those are scattered instead.
        if network.stream and name.endswith("weight") and name not in network.fresh and not tuning.start:
            _gather(module, positions, positions.shape[1] / network.anatomy.by_name[name].size)


def _gather(module: Any, positions: Tensor, density: float) -> None:
    """Have a module take its elements, at positions [runs, elements], where that costs less than a whole trained tensor.

    An embedding always, since a batch reads few of its rows; a linear layer where few elements train.
    """
    if isinstance(module, nn.Embedding):
        module.__class__ = SparseEmbedding
        _add_placeholders(module, ("delta", "delta_index"))
    elif not isinstance(module, nn.Linear) or module.bias is None or density >= GATHER_BELOW:
        return
    elif len(positions) > 1:
        module.__class__ = SparseLinear
        _add_placeholders(module, ("delta", "delta_index"))
    else:
        # One run alone affords a copy of the weight [out, in], and computes at the price of a plain layer.
        module.__class__ = PatchedLinear
        _add_placeholders(module, ("value",))
        module.register_buffer("patched", module.weight.detach().clone(), persistent=False)
        index, width = positions[:1].to(module.weight.device), module.in_features
        elements = ElementPositions(index, index[:, None] // width, index[:, None] % width)
        setattr(module, "positions", elements)  # noqa: B010  (to a type checker a module's attributes are tensors)


def _add_placeholders(module: nn.Module, names: Iterable[str]) -> None:
    """Register empty buffers, in whose place `functional_call` puts each step's tensors; no checkpoint has them."""
    for name in names:
        module.register_buffer(name, torch.empty(0), persistent=False)
