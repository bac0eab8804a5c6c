"""What a cohort takes of a GPU's memory, from shapes alone: a training step is gone through without data, its bytes counted.

The cohort is made ready from a model drawn at random, then every tensor of it is replaced by one on torch's meta device, which
has a shape and no memory. What such a step allocates and frees is what the step on a GPU does.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from peftcli.data.examples import Examples
from peftcli.engine import backbone as backbones
from peftcli.engine import training
from peftcli.engine.backbone import Backbone
from peftcli.engine.batches import build
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.engine.evaluation import TOKENS
from peftcli.experiment.run import Run
from peftcli.experiment.settings import Training

META = torch.device("meta")
ALLOCATED = 512  # bytes: what CUDA's allocator rounds up to
STEPS = 1_000_000  # so far away lies all that a step reads values for: an evaluation, a loss to be written down


@dataclass(frozen=True)
class Peaks:
    """The most bytes that a cohort holds at once: in `training`, and in an `evaluation` between two updates."""

    training: int
    evaluation: int


def peaks(
    runs: Sequence[Run], data: Data, config: dict[str, Any], dtype: torch.dtype, kept: torch.dtype | None = None
) -> Peaks:
    """What training these runs together holds on a GPU: weights, values, moments, activations, all of it.

    Of `data` the longest batch is taken. Nothing is read of the model but its `config`. `dtype` is what it computes in,
    `kept` what its weights are kept in (`backbone.kept_in`; None: float32 at least).
    """
    longest = replace(data, train=longest_parts(data.train, runs[0].protocol), evaluation={})
    settings = {
        "steps": STEPS,
        "minimum_steps": None,
        "evaluate_every": f"{STEPS} steps",
        "dropout_until": 1.0,
        "compile": False,
    }
    protocol = runs[0].protocol.model_copy(update=settings)
    options = runs[0].options
    # A mask that is chosen by the gradients of many batches holds no more at the last of them than at the second.
    if options.get("batches"):
        options = {**options, "batches": min(2, options["batches"])}
    runs = [run.model_copy(update={"protocol": protocol, "options": options}) for run in runs]
    base = drawn(config, dtype, kept)
    with LiveBytes("cpu") as memory:  # masks may be chosen by gradients, which take more than little training does
        memory.hold(base)
        cohort = gather(runs, [longest] * len(runs), base, base.config, torch.device("cpu"))
    gathered = memory.peak
    del base
    shapes_alone(cohort)
    cohort = replace(cohort, device=META)
    with LiveBytes("meta") as memory:
        memory.hold(cohort)
        state = training.begin(cohort)
        for _ in range(2):  # at the second one the first one's leftovers are there
            training.advance(cohort, state)
        trained, memory.peak = max(gathered, memory.peak), memory.live
        _evaluate(cohort, state.flat.detach(), longest.train)
        return Peaks(trained, memory.peak)


def longest_examples(examples: Examples, count: int) -> Examples:
    """The `count` examples with the most word pieces, or all where there are fewer."""
    return examples.take(np.argsort(-examples.example_lengths, kind="stable")[:count])


def longest_parts(examples: Examples, training: Training) -> Examples:
    """A batch whose every part, where it is computed in several, is of the examples with the most word pieces."""
    each = -(-training.batch_size // training.accumulate)
    longest = longest_examples(examples, each)
    count = min(training.batch_size, len(examples))
    return longest.take(np.arange(count) % len(longest))


def drawn(config: dict[str, Any], dtype: torch.dtype, kept: torch.dtype | None = None) -> Backbone:
    """A backbone of this config with random weights: strategies that rank weights choose as widely as in a real one."""
    from transformers import AutoConfig, AutoModel

    with backbones.quiet_transformers(), META:
        network = AutoModel.from_config(AutoConfig.for_model(**config), attn_implementation="eager")
    source = torch.Generator().manual_seed(0)
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                # Uniform, which is the quickest to draw.
                values = torch.empty(parameter.shape).uniform_(-0.05, 0.05, generator=source)
                module._parameters[name] = nn.Parameter(values.to(kept), requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)
    has_pooler = getattr(network, "pooler", None) is not None
    return backbones.narrowed(backbones.adopted(network.eval(), has_pooler, frozenset()), dtype)


def shapes_alone(root: Any) -> None:
    """Replace every tensor that is reached from an object by one on the meta device, in place; what shared memory still does."""
    storages: dict[int, torch.UntypedStorage] = {}
    # By identity: the tensor (kept, so that no other one gets its number) and its stand-in.
    replaced: dict[int, tuple[Tensor, Tensor]] = {}
    seen: set[int] = set()

    def stand_in(tensor: Tensor) -> Tensor:
        """The tensor on the meta device, one for all places that hold it."""
        if id(tensor) not in replaced:
            storage = tensor.untyped_storage()
            shared = storages.setdefault(storage._cdata, torch.UntypedStorage(storage.nbytes(), device="meta"))
            moved = torch.empty(0, dtype=tensor.dtype, device=META)
            moved.set_(shared, tensor.storage_offset(), tensor.shape, tensor.stride())
            if isinstance(tensor, nn.Parameter):
                moved = nn.Parameter(moved, requires_grad=tensor.requires_grad)
            replaced[id(tensor)] = tensor, moved
        return replaced[id(tensor)][1]

    def visit(value: Any) -> Any:
        """The object with its tensors replaced; a new one only where it is a tensor or a tuple."""
        if isinstance(value, Tensor):
            return stand_in(value)
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return tuple(visit(item) for item in value)
        if id(value) in seen:
            return value
        seen.add(id(value))
        if isinstance(value, list):
            value[:] = [visit(item) for item in value]
        elif (parts := _parts(value)) is not None:
            parts.update({key: visit(item) for key, item in parts.items()})
        return value

    visit(root)
    # The functions refer to each other, so they would keep what they saw until Python next looks for such circles.
    replaced.clear()
    storages.clear()


def _parts(value: Any) -> dict[str, Any] | None:
    """What a dictionary, a module or a dataclass's object holds by name, to read or to replace; None of anything else."""
    if isinstance(value, dict):
        return value
    return (
        vars(value) if isinstance(value, nn.Module) or (is_dataclass(value) and not isinstance(value, type)) else None
    )


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of a kind of device's tensors that live, and the most there were at once, each rounded up as on a GPU."""

    live: int
    peak: int

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.live, self.peak = 0, 0
        self.counted: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def hold(self, root: Any) -> None:
        """Count all that an object holds already."""
        seen: set[int] = set()
        waiting = [root]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Tensor):
                self._count(value)
            elif id(value) not in seen:
                seen.add(id(value))
                if isinstance(value, list | tuple):
                    waiting += value
                elif (parts := _parts(value)) is not None:
                    waiting += parts.values()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if tensor.device.type != self.device or storage in self.counted:
            return
        size = -(-storage.nbytes() // ALLOCATED) * ALLOCATED
        self.counted.add(storage)
        weakref.finalize(storage, self._free, size)
        self.live += size
        self.peak = max(self.peak, self.live)

    def _free(self, size: int) -> None:
        self.live -= size


@torch.no_grad()
def _evaluate(cohort: Cohort, flat: Tensor, examples: Examples) -> None:
    """Go through one batch of an evaluation, as large as they are on a GPU."""
    pieces = int(examples.starts[examples.group])  # of the longest example, which comes first
    count = max(1, TOKENS["cuda"] // len(cohort.runs) // pieces)
    chosen = np.arange(count) % len(examples)
    batch = build([(examples, chosen)] * len(cohort.runs), cohort.network.reading, META, cohort.network.lookups)
    cohort.forward(flat, 0)(batch)
