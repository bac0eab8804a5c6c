"""Putting what a strategy inserts or gathers into a network: modules get the class that computes it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from peftcli.engine import injection
from peftcli.engine.adapters import AdapterLayerNorm, behind
from peftcli.engine.dora import DoraLinear, DoraTransposedLinear
from peftcli.engine.dropout import RunDropout
from peftcli.engine.lookup import PARTS, READS, lookup
from peftcli.engine.modules import (
    LoraLinear,
    LoraTransposedLinear,
    PatchedLinear,
    RunScaledEmbedding,
    RunTransposedLinear,
    SparseEmbedding,
    SparseLinear,
    SparseScaledEmbedding,
    SparseTransposedLinear,
)
from peftcli.engine.network import Network
from peftcli.engine.normalizing import RunLayerNorm
from peftcli.engine.sparse import ElementPositions, sparse_elements
from peftcli.strategies.tuning import Lora, Tuning

GATHER_BELOW = 0.002  # density under which gathering beats a dense gradient (measured: results/bench)


def install(network: Network, tuning: Tuning, index: dict[str, Tensor]) -> None:
    """Turn modules into the class that computes what is inserted, with placeholders for the tensors it needs.

    `index` by name: positions [runs, elements] of the elements that train.
    """
    if tuning.injected is not None:
        network.backbone, network.stream = injection.install(tuning.injected, network.backbone), False
    for name, shapes in tuning.inserted_shapes(network.anatomy).items():
        module: Any = network.get_submodule(network.module_name(name))
        insertion = tuning.insert[name]
        if isinstance(insertion, Lora):
            module.__class__ = _lora_kind(isinstance(module, RunTransposedLinear), insertion.dora)
            module.scaling = insertion.scaling
            module.lora_dropout = RunDropout(insertion.dropout)
        else:
            module.__class__ = AdapterLayerNorm if isinstance(module, RunLayerNorm) else behind(module.__class__)
            module.adapter_activation = ACT2FN[insertion.activation]
        _add_placeholders(module, shapes)
    for name, positions in index.items():
        module = network.get_submodule(network.module_name(name.rpartition(".")[0]))
        # Elements are trained as differences to the shared weight. There is none where each run has a weight of its own (drawn,
        # or moved by the strategy), and a padded backbone gets whole tensors; those are scattered instead.
        if network.stream and name.endswith("weight") and name not in network.fresh and not tuning.start:
            parameter = network.anatomy.by_name[name]
            if isinstance(module, nn.Embedding) and parameter.role in READS:
                # A batch reads few rows of an embedding, so its elements are always gathered.
                scaled = isinstance(module, RunScaledEmbedding)
                module.__class__ = SparseScaledEmbedding if scaled else SparseEmbedding
                _add_placeholders(module, ("delta", *PARTS))
                found = lookup(parameter.role, positions.cpu().numpy(), parameter.shape)
                network.lookups[network.module_name(name.rpartition(".")[0])] = found
            elif isinstance(module, nn.Linear | RunTransposedLinear):
                _gather(module, positions, positions.shape[1] / parameter.size, network.repeated)


def _lora_kind(transposed: bool, dora: bool) -> type[nn.Module]:
    if dora:
        return DoraTransposedLinear if transposed else DoraLinear
    return LoraTransposedLinear if transposed else LoraLinear


def _gather(module: Any, positions: Tensor, density: float, repeated: bool) -> None:
    """Have a linear layer take its elements, at positions [runs, elements], where that costs less than a whole trained tensor.

    `repeated`: the layer runs several times in one forward pass.
    """
    if module.bias is None or density >= GATHER_BELOW:
        return
    matrix, transposed = module.matrix, isinstance(module, RunTransposedLinear)
    positions = _in_matrix(positions, matrix) if transposed else positions
    # A copy is written to whenever its layer runs, which what an earlier use of it kept for the backward pass would not bear.
    if len(positions) > 1 or repeated:
        module.__class__ = SparseTransposedLinear if transposed else SparseLinear
        _add_placeholders(module, ("delta",))
        elements = sparse_elements(positions.cpu().numpy(), matrix)
        setattr(module, "elements", elements)  # noqa: B010  (to a type checker a module's attributes are tensors)
    else:
        # One run alone affords a copy of the weight [out, in], and computes at the price of a plain layer.
        module.__class__ = PatchedLinear
        _add_placeholders(module, ("value",))
        module.register_buffer(
            "patched", matrix.detach().clone(memory_format=torch.contiguous_format), persistent=False
        )
        index, width = positions[:1].to(matrix.device), matrix.shape[1]
        patched = ElementPositions(index, index[:, None] // width, index[:, None] % width)
        setattr(module, "positions", patched)  # noqa: B010


def _in_matrix(positions: Tensor, matrix: Tensor) -> Tensor:
    """Positions [runs, elements] in a flat transposed weight [in, out] as positions in the flat matrix [out, in]."""
    outputs, inputs = matrix.shape
    # A dead slot stays one past the end, which both have at the same number.
    return torch.where(positions < matrix.numel(), positions % outputs * inputs + positions // outputs, positions)


def _add_placeholders(module: nn.Module, names: Iterable[str]) -> None:
    """Register empty buffers, in whose place `functional_call` puts each step's tensors; no checkpoint has them."""
    for name in names:
        module.register_buffer(name, torch.empty(0), persistent=False)
