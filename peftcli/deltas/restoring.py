"""A saved delta put back on its base: the fine-tuned network as it was evaluated, or its weights by name."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from peftcli.deltas.file import INDEX, VALUES, Delta
from peftcli.engine import backbone as backbones
from peftcli.engine.assembly import Assembly, cut
from peftcli.engine.batches import Batch
from peftcli.engine.device import choose, number_type, prepare, resolve_precision
from peftcli.engine.inserting import install
from peftcli.engine.network import Network
from peftcli.errors import UserError
from peftcli.experiment.run import task_of
from peftcli.models import catalogue, heads
from peftcli.strategies import registry
from peftcli.strategies.pretrained import widened
from peftcli.strategies.tuning import Moment, Tuning
from peftcli.tasks.registry import Task


@dataclass(frozen=True)
class Restored:
    """A delta on its base: `copies` runs that are all the same one; `flat` [copies, n] are its values."""

    task: Task
    assembly: Assembly
    flat: Tensor
    device: torch.device

    @property
    def network(self) -> Network:
        """The network, whose own tensors are the base's."""
        return self.assembly.network

    def forward(self) -> Callable[[Batch], Tensor]:
        """The network at these values, for evaluation."""
        # No step and no dropout: of a moment evaluation asks the number of runs alone.
        moment = Moment(0, False, torch.zeros(len(self.flat), dtype=torch.int32, device=self.device))
        tensors = self.assembly.tensors(self.flat, moment)
        return lambda batch: self.network.call(tensors, {}, batch)

    def weights(self) -> dict[str, Tensor]:
        """Everything that differs from the base by name, whole: pre-trained tensors, inserted ones, the head."""
        return {name: tensor[0].cpu() for name, tensor in self.assembly.effective(self.flat).items()}


@torch.no_grad()
def restore(delta: Delta, model: str, copies: int = 1, device: torch.device | None = None) -> Restored:
    """Put a delta on its base, loaded from `model` (id, alias or folder), in the precision the run computed in.

    Raises UserError where the base cannot be had or is another one, and for a delta that does not fit it.
    """
    device = device or choose()
    run, task = delta.run, task_of(delta.run)
    # TF32 is float32 with rounded products: on what has no TF32 the products are exact.
    asked = "float32" if run.protocol.precision == "tf32" and device.type == "cpu" else run.protocol.precision
    precision = resolve_precision(asked, device)
    prepare(device, precision)
    # The base is loaded with the same tensors as in training, or its fingerprint would be another.
    pooler = heads.uses_pooler(catalogue.config(model), task.kind, run.protocol.head)
    base = backbones.load(model, pooler, number_type(precision), device)
    if base.fingerprint != delta.fingerprint:
        raise UserError(
            f"this delta is of another base: {delta.model} with fingerprint {delta.fingerprint}, "
            f"and {model!r} has {base.fingerprint}; --model names the right one"
        )
    network = Network(base, task.kind, max(len(delta.labels), 1), run.protocol.head).to(device)
    tuning = registry.get(run.strategy).tune(network.anatomy, run.options)
    # Only what moves and where is of use now: the values are the weights already, gates and anchors applied.
    tuning = replace(tuning, tensors=None, penalty=None, after_step=None, extra={})
    slots = {name: _padded(network, delta, name, width) for name, width in delta.members.slots.items()}
    start, end = _values(network, tuning, delta, slots)
    index = {name: row.to(device).expand(copies, -1).contiguous() for name, row in slots.items()}  # [copies, slots]
    install(network, tuning, index)
    flat_start, flat_end = (
        torch.cat([value.reshape(-1) for value in values.values()]).repeat(copies, 1).to(device)
        for values in (start, end)
    )  # [copies, n]
    assembly = Assembly(network, tuning, cut(end), flat_start, dict(network.weights), {}, index, (0,) * copies)
    return Restored(task, assembly, flat_end, device)


def check_tokenizer(delta: Delta, model: str, fingerprint: str) -> None:
    """Refuse another tokenizer than a delta was trained with: the model would read other pieces. Raises UserError.

    That an earlier version's file does not say which it was is said on stderr.
    """
    if delta.tokenizer is None:
        print(
            f"this delta does not say which tokenizer it was trained with: {model!r} has {fingerprint}", file=sys.stderr
        )
    elif delta.tokenizer != fingerprint:
        raise UserError(
            f"this delta is of another tokenizer: of {delta.model} with fingerprint {delta.tokenizer}, "
            f"and {model!r} has {fingerprint}; --model names the right one"
        )


def _values(
    network: Network, tuning: Tuning, delta: Delta, index: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One run's values by name at the start and at the end: elements where `index` selects some, everything else whole."""
    shapes = _shapes(network, tuning)
    for name in delta.names():
        if name not in shapes:
            raise UserError(f"this delta moves a tensor {name!r}, which the base with its strategy does not have")
    start, end = {}, {}
    # A whole tensor that happened not to move is not in the file, and still is a piece of what the strategy trains.
    whole = [entry for entry in tuning.mask if isinstance(entry, str)]
    for name in dict.fromkeys([*whole, *delta.names()]):
        if name in index:
            base = widened(network.weights[name])
            # A dead slot points one past the end of the flat tensor, where it reads 0.
            start[name] = torch.cat([base.flatten(), base.new_zeros(1)])[index[name].to(base.device)]
            end[name] = torch.zeros_like(start[name])
            end[name][: len(delta.tensors[name + VALUES])] = delta.tensors[name + VALUES].to(end[name])
        else:
            start[name] = end[name] = _whole(network, delta, name, shapes[name])
    lacking = [name for name in shapes if name not in end and name not in network.weights]
    if lacking:
        raise UserError(f"this delta lacks the tensor {lacking[0]!r}")
    return start, end


def _shapes(network: Network, tuning: Tuning) -> dict[str, tuple[int, ...]]:
    """Every tensor of the network by name, those included that the strategy inserts."""
    shapes = {name: p.shape for name, p in network.anatomy.by_name.items()}
    for module, of_module in tuning.inserted_shapes(network.anatomy).items():
        shapes |= {f"{module}.{name}": shape for name, shape in of_module.items()}
    return shapes | (dict(tuning.injected.shapes) if tuning.injected else {})


def _padded(network: Network, delta: Delta, name: str, slots: int) -> Tensor:
    """A tensor's selected positions as they were in training: filled up with dead slots, one past the end."""
    parameter = network.anatomy.by_name.get(name)
    positions = delta.tensors.get(name + INDEX)
    if parameter is None or positions is None or len(positions) > slots:
        raise UserError(f"this delta's places in {name!r} do not fit the base")
    index = torch.full((slots,), parameter.size)
    index[: len(positions)] = positions
    return index


def _whole(network: Network, delta: Delta, name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor as it ended: stored whole, the base's with some elements replaced, or the base's."""
    if name in delta.tensors:
        value = delta.tensors[name].to(next(network.parameters()).device)
        if tuple(value.shape) != shape:
            raise UserError(f"this delta's tensor {name!r} has shape {tuple(value.shape)}, not {shape}")
        return value
    # What trained ended between the numbers that the base's file can hold.
    base = widened(network.weights[name])
    if name + INDEX not in delta.tensors:
        return base
    positions, values = (delta.tensors[name + part].to(base.device) for part in (INDEX, VALUES))
    # Checked here, since out of range on a GPU is an assertion that takes the whole process down.
    if len(positions) and int(positions.max()) >= prod(shape):
        raise UserError(f"this delta's places in {name!r} do not fit the base")
    return base.flatten().scatter(0, positions.long(), values.to(base)).view(shape)
