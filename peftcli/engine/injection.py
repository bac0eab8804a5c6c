"""Modules of another library in our backbones: put into a copy that shares every weight.

Such modules know nothing of streams or cohorts, so the backbone runs padded, a cohort's runs one after another, and
always in evaluation mode: dropout is ours (by the same counter-based masks), and what samples in training mode does not.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from peftcli.engine import padded
from peftcli.engine.accepting import accept_runs
from peftcli.engine.dropout import RepeatedDropout
from peftcli.errors import UserError
from peftcli.models.tensors import architecture
from peftcli.strategies.tuning import Injection


def install(injection: Injection, backbone: nn.Module) -> nn.Module:
    """Return the backbone with the modules in it, all of it frozen, with our dropout.

    What the method draws and never trains is of seed 0, the same in every run.
    """
    repeated = any(isinstance(module, RepeatedDropout) for module in backbone.modules())
    return accept_runs(_wrapped_copy(injection, backbone, seed=0), repeated)


def start(injection: Injection, backbone: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw one run's values [*shape] of what is trained, by name, as the other library draws them."""
    seed = int(torch.randint(2**62, (), generator=generator))
    wrapped = _wrapped_copy(injection, backbone, seed)
    return {name: p.detach().clone() for name, p in wrapped.named_parameters() if p.requires_grad}


def _wrapped_copy(injection: Injection, backbone: nn.Module, seed: int) -> nn.Module:
    """Copy a backbone, its weights shared, and put the modules into the copy. Raises UserError if a weight changed."""
    # `deepcopy` takes what its memo holds for copied: so modules are copied, and weights and buffers are not.
    shared: dict[int, Tensor] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in backbone.parameters()}
    shared |= {id(b): b for b in backbone.buffers()}
    # Some initialisations (PiSSA) write into the weights they stand beside, which other runs and cohorts share.
    before = {name: (p.data_ptr(), p._version) for name, p in backbone.named_parameters()}
    copies = {name: shared[id(p)] for name, p in backbone.named_parameters()}
    twin: Any = copy.deepcopy(backbone, dict(shared))
    twin.config._attn_implementation = padded.ATTENTION
    if architecture(twin.config.model_type).relative:
        from peftcli.engine.relative import run_on_grids  # here, since it imports the model's code

        run_on_grids(twin)
    wrapped = injection.wrap(twin, seed)
    for name, parameter in backbone.named_parameters():
        if before[name] != (copies[name].data_ptr(), parameter._version):
            raise UserError(f"{injection.name} changes pre-trained weights ({name}) before training")
    return wrapped
