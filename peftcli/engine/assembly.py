"""Where strategies' data becomes a trainable cohort: one matrix of values `[runs, n]`, and from it the network's tensors.

Every trained number of every run is an element of `flat`, the only leaf; a column belongs to one tensor, a row to one run.
So clipping is a row's norm, a learning rate a number a row, and a checkpoint a few matrices, whatever a strategy trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor, nn

from peftcli.engine import injection
from peftcli.engine.dora import row_norms
from peftcli.engine.inserting import install
from peftcli.engine.modules import PatchedLinear, SparseEmbedding, SparseLinear
from peftcli.engine.network import Network
from peftcli.engine.partition import Mask, Partition, Start, partition, run_mask
from peftcli.experiment.parameters import inserted
from peftcli.strategies.pretrained import Pretrained, draw, widened
from peftcli.strategies.tuning import Bottleneck, Lora, Moment, Tuning


@dataclass(frozen=True)
class Piece:
    """Columns of `flat` that belong to one tensor. `shape` is the tensor's, or (elements,) where it trains a few."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        """The first column behind this piece."""
        return self.start + prod(self.shape)


@dataclass(frozen=True)
class Assembly:
    """A cohort ready to train: the network with what was inserted, start values, and what they become.

    `flat` [runs, n]; `start` by name the shared [*shape] or per-run [runs, *shape] values that a strategy measures movement
    from; `fixed` [runs or 1, *shape] frozen tensors that differ from the pre-trained ones; `index` by name the positions
    [runs, elements] of selected elements (a dead slot is one past the end); `counts` [runs] the trained elements of each
    run, head excluded.
    """

    network: Network
    tuning: Tuning
    pieces: tuple[Piece, ...]
    flat: Tensor
    start: dict[str, Tensor]
    fixed: dict[str, Tensor]
    index: dict[str, Tensor]
    counts: tuple[int, ...]

    def values(self, flat: Tensor) -> dict[str, Tensor]:
        """Cut the matrix [runs, n] into its pieces by name, each [runs, *shape]; views, so writing to them writes to it."""
        widths = [piece.stop - piece.start for piece in self.pieces]
        # One split for all pieces: its backward pass is one concatenation, that of slices a whole matrix for each.
        columns = flat.split(widths, dim=1) if self.pieces else ()
        pairs = zip(self.pieces, columns, strict=True)
        return {p.name: part if len(p.shape) == 1 else part.view(-1, *p.shape) for p, part in pairs}

    def tensors(self, flat: Tensor, moment: Moment) -> dict[str, Tensor]:
        """The network's tensors at these values, each [runs or 1, …], by pre-trained name (inserted ones by their module's)."""
        values = self.values(flat)
        if self.tuning.tensors is not None:
            values = self.tuning.tensors(values, self.start, moment)
        tensors = dict(self.fixed)
        for name, value in values.items():
            tensors |= self._from_elements(name, value) if name in self.index else {name: value}
        # Trained values are kept in float32, where small steps add up. Matrices are multiplied in the backbone's precision;
        # gains and biases [runs, hidden] and the head compute in their own.
        for name, tensor in tensors.items():
            if tensor.ndim >= 3 and tensor.is_floating_point() and not name.startswith(("head.", "pooler.")):
                tensors[name] = tensor.to(self.precision)
        return tensors

    @property
    def precision(self) -> torch.dtype:
        """The precision the backbone computes in."""
        return self.network.precision

    def effective(self, flat: Tensor) -> dict[str, Tensor]:
        """The weights that differ from the pre-trained ones after training, each [runs, *shape]: what a delta stores."""
        values = self.values(flat)
        if self.tuning.tensors is not None:
            moment = Moment(0, False, torch.zeros(len(flat), dtype=torch.int32))
            values = self.tuning.tensors(values, self.start, moment)
        fixed = {name: tensor.expand(len(flat), *tensor.shape[1:]) for name, tensor in self.fixed.items()}
        return {n: self._scatter(n, v) if n in self.index else v for n, v in values.items()} | fixed

    def _from_elements(self, name: str, value: Tensor) -> dict[str, Tensor]:
        """What a module takes for its tensor's elements, value [runs, elements]: those (or differences), or a whole tensor."""
        module, stem = self._element_modules.get(name), name.removesuffix("weight")
        if isinstance(module, PatchedLinear):
            return {f"{stem}value": value}
        if isinstance(module, SparseLinear | SparseEmbedding):
            return {f"{stem}delta": value - self._base[name]}
        return {name: self._scatter(name, value)}

    @cached_property
    def _element_modules(self) -> dict[str, nn.Module]:
        """The module of every weight that trains in some elements. (Biases are always scattered: they are small.)"""
        modules = {name: self.network.module_name(name.rpartition(".")[0]) for name in self.index}
        return {name: self.network.get_submodule(module) for name, module in modules.items() if name.endswith("weight")}

    @cached_property
    def _base(self) -> dict[str, Tensor]:
        """Where the values start that train as differences, by name, [runs, elements]."""
        return self.values(self.flat)

    def _scatter(self, name: str, value: Tensor) -> Tensor:
        """Elements' values [runs, elements] put into their tensor at its start, [runs, *shape]."""
        padded = self._padded_vectors[name] if name in self._padded_vectors else self._padded_start(name)
        padded = padded.expand(len(value), -1).scatter(1, self.index[name], value)
        return padded[:, :-1].view(len(value), *self.network.anatomy.by_name[name].shape)

    @cached_property
    def _padded_vectors(self) -> dict[str, Tensor]:
        """The padded starts of gains and biases, which are small enough to be kept for all steps."""
        shapes = {name: self.network.anatomy.by_name[name].shape for name in self.index}
        return {name: self._padded_start(name) for name, shape in shapes.items() if len(shape) == 1}

    def _padded_start(self, name: str) -> Tensor:
        """A tensor's start, flat, with one more element behind the last, [1 or runs, size + 1]: dead slots are written there."""
        # As wide as the values that are put into it, whatever the file has the rest in.
        flat = widened(self.start[name]).reshape(-1, prod(self.network.anatomy.by_name[name].shape))
        return torch.cat([flat, flat.new_zeros(len(flat), 1)], dim=1)


def assemble(network: Network, tuning: Tuning, models: Sequence[Pretrained]) -> Assembly:
    """Put a strategy's tuning onto a network for a cohort of runs, one `Pretrained` each."""
    masks = [run_mask(network, tuning, model) for model in models]
    starts: list[Start] = [{**model.weights, **(tuning.start(model) if tuning.start else {})} for model in models]
    # By name [*shape] where all runs have the very same tensor, which then is kept once, else theirs stacked [runs, *shape].
    start = {
        name: value
        if all(of_run[name] is value for of_run in starts)
        else torch.stack([of_run[name] for of_run in starts])
        for name, value in starts[0].items()
    }
    parts = partition(network, masks, models[0].weights, start)
    parts.check(network)
    # What is inserted starts from draws of the run's generator, which its mask has drawn from before.
    values = [
        trained_values(parts, of_run, run) | inserted_values(network, tuning, model)
        for run, (model, of_run) in enumerate(zip(models, starts, strict=True))
    ]
    flat = torch.stack([_row(of_run) for of_run in values]).to(next(network.parameters()).device)
    install(network, tuning, parts.index)
    counts = tuple(_count(network, tuning, mask) for mask in masks)
    return Assembly(network, tuning, cut(values[0]), flat, start, parts.fixed, parts.index, counts)


def trained_values(parts: Partition, start: Start, run: int) -> dict[str, Tensor]:
    """Where one run's pre-trained tensors start, of those that train: [*shape] or, of some elements, [elements]."""
    values = {name: start[name] for name in parts.whole}
    for name, positions in parts.index.items():
        # A dead slot reads the zero behind the last element.
        padded = torch.cat([start[name].reshape(-1), start[name].new_zeros(1)])
        values[name] = padded[positions[run].to(padded.device)]
    return values


def inserted_values(network: Network, tuning: Tuning, model: Pretrained) -> dict[str, Tensor]:
    """Where one run's further tensors start, [*shape] each: inserted modules, another library's, a strategy's extra ones."""
    like = widened(next(iter(model.weights.values()))[:0])  # of the device, and the precision that trains
    values: dict[str, Tensor] = {}
    for module, shapes in tuning.inserted_shapes(network.anatomy).items():
        for name, shape in shapes.items():
            values[f"{module}.{name}"] = (
                row_norms(_matrix(network, f"{module}.weight", model))
                if name == "lora_magnitude"
                else _drawn(name, like.new_zeros(shape), tuning.insert[module], model)
            )
    if tuning.injected is not None:
        values |= injection.start(tuning.injected, network.backbone, model.generator)
    for name, (shape, start) in tuning.extra.items():
        values[name] = start(shape, model.generator).to(like) if callable(start) else like.new_full(shape, start)
    return values


def _matrix(network: Network, name: str, model: Pretrained) -> Tensor:
    """One run's weight of a linear layer, [out, in]."""
    weight = model.weights[name]
    return weight.mT if network.anatomy.by_name[name].transposed else weight


def _drawn(name: str, zero: Tensor, part: Lora | Bottleneck, model: Pretrained) -> Tensor:
    """Where an inserted tensor starts, like `zero` [*shape]: zero itself for most, so that what is inserted changes nothing."""
    drawn = torch.empty(zero.shape)
    if name == "adapter_down":
        return draw(name, zero, model.generator, model.config)
    if isinstance(part, Bottleneck) and part.up_deviation and name == "adapter_up":
        return drawn.normal_(0, part.up_deviation, generator=model.generator).to(zero)
    # Drawn as a linear layer's weight is by default, kaiming-uniform with a = sqrt(5): uniform within 1 / sqrt(inputs).
    if isinstance(part, Lora) and (part.b_drawn or name == "lora_a"):
        bound = zero.shape[1] ** -0.5
        return drawn.uniform_(-bound, bound, generator=model.generator).to(zero)
    return zero


def _row(values: dict[str, Tensor]) -> Tensor:
    """One run's values end to end, [n]; bfloat16 is widened, since a row has one precision and small steps must add up."""
    return torch.cat([v.reshape(-1).float() if v.dtype == torch.bfloat16 else v.reshape(-1) for v in values.values()])


def cut(values: dict[str, Tensor]) -> tuple[Piece, ...]:
    """The columns of each of one run's values [*shape], in their order."""
    pieces, start = [], 0
    for name, value in values.items():
        pieces.append(Piece(name, tuple(value.shape), start))
        start += value.numel()
    return tuple(pieces)


def _count(network: Network, tuning: Tuning, mask: Mask) -> int:
    """Count one run's trained elements, the head's left out."""
    sizes = {p.name: p.size for p in network.anatomy.parameters}
    masked = sum(tuning.kept.get(n, sizes[n]) if p is None else len(p) for n, p in mask.items() if n in sizes)
    return int(masked) + inserted(network.anatomy, tuning)
