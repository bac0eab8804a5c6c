"""Where strategies' data becomes a trainable cohort: one matrix of values `[runs, n]`, and from it the network's tensors.

Every trained number of every run is an element of `flat`, the only leaf; a column belongs to one tensor, a row to one run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor, nn

from peftcli.engine import injection
from peftcli.engine.inserting import install
from peftcli.engine.modules import PatchedLinear, SparseEmbedding, SparseLinear
from peftcli.engine.network import Network
from peftcli.experiment.parameters import inserted
from peftcli.strategies.pretrained import Pretrained, draw
from peftcli.strategies.tuning import Elements, Moment, Tuning


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

    `flat` [runs, n]; `start` the shared or per-run values by name that a strategy measures movement from; `fixed`
    frozen tensors that differ from the pre-trained ones; `index` by name the places [runs, elements] of selected
    elements (a dead slot is one past the end); `counts` [runs] the trained elements of each run, head excluded.
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
        """Cut the matrix into its pieces by name, each [runs, *shape]."""
        widths = [piece.stop - piece.start for piece in self.pieces]
        cut = flat.split(widths, dim=1) if self.pieces else ()
        pairs = zip(self.pieces, cut, strict=True)
        return {p.name: part if len(p.shape) == 1 else part.view(-1, *p.shape) for p, part in pairs}

    def tensors(self, flat: Tensor, moment: Moment) -> dict[str, Tensor]:
        """Give the network's tensors at these values, by pre-trained name (inserted ones by their module's)."""
        values = self.values(flat)
        if self.tuning.tensors is not None:
            values = self.tuning.tensors(values, self.start, moment)
        given = dict(self.fixed)
        for name, value in values.items():
            given |= self._elements(name, value) if name in self.index else {name: value}
        return {name: self._narrow(name, tensor) for name, tensor in given.items()}

    def _narrow(self, name: str, tensor: Tensor) -> Tensor:
        """Give a backbone matrix in the backbone's own precision; gains, biases and heads stay in theirs."""
        matrix = tensor.ndim >= 3 and tensor.is_floating_point() and not name.startswith(("head.", "pooler."))
        return tensor.to(self.precision) if matrix else tensor

    @property
    def precision(self) -> torch.dtype:
        """The precision the backbone computes in."""
        return next(self.network.backbone.parameters()).dtype

    def effective(self, flat: Tensor) -> dict[str, Tensor]:
        """Give the weights that stand in pre-trained places after training, each [runs, *shape]: what a delta stores."""
        values = self.values(flat)
        if self.tuning.tensors is not None:
            values = self.tuning.tensors(
                values, self.start, Moment(0, False, torch.zeros(len(flat), dtype=torch.int32))
            )
        fixed = {name: tensor.expand(len(flat), *tensor.shape[1:]) for name, tensor in self.fixed.items()}
        return {n: self._scatter(n, v) if n in self.index else v for n, v in values.items()} | fixed

    def _elements(self, name: str, value: Tensor) -> dict[str, Tensor]:
        if name in self._patched:
            return {f"{name.removesuffix('weight')}value": value}
        if name not in self._gathered:
            return {name: self._scatter(name, value)}
        stem, (base, index, dead) = name.removesuffix("weight"), self._gathered[name]
        delta = value - base if dead is None else (value - base).masked_fill(dead, 0)
        return {f"{stem}delta": delta, f"{stem}delta_index": index}

    @cached_property
    def _patched(self) -> frozenset[str]:
        """The weights whose modules take their elements' values as they are."""
        weights = [name for name in self.index if name.endswith("weight")]
        return frozenset(name for name in weights if isinstance(self._module(name), PatchedLinear))

    @cached_property
    def _gathered(self) -> dict[str, tuple[Tensor, Tensor, Tensor | None]]:
        """By tensor whose module gathers: the elements' start values, their places, and which slots are dead (or None)."""
        base, found = self.values(self.flat), {}
        for name, index in self.index.items():
            if isinstance(self._module(name), SparseLinear | SparseEmbedding) and name.endswith("weight"):
                size = self.network.anatomy.by_name[name].size
                dead = index == size
                found[name] = (base[name], index.clamp(max=size - 1), dead if bool(dead.any()) else None)
        return found

    def _module(self, name: str) -> nn.Module:
        return self.network.get_submodule(self.network.module_name(name.rpartition(".")[0]))

    def _scatter(self, name: str, value: Tensor) -> Tensor:
        padded = self._padded(name).scatter(1, self.index[name], value)
        shape = self.network.anatomy.by_name[name].shape
        return padded[:, :-1].view(len(value), *shape)

    def _padded(self, name: str) -> Tensor:
        """A tensor's start values for each run, flat, with one more place for dead slots: [runs, size + 1]."""
        runs, size = len(self.index[name]), prod(self.network.anatomy.by_name[name].shape)
        flat = self.start[name].reshape(-1, size).expand(runs, -1)
        return torch.cat([flat, flat.new_zeros(runs, 1)], dim=1)


def assemble(network: Network, tuning: Tuning, models: Sequence[Pretrained]) -> Assembly:
    """Put a strategy's tuning onto a network for a cohort of runs, one `Pretrained` each."""
    masks = [_resolve(tuning, model, network) for model in models]
    starts = [{**model.weights, **(tuning.start(model) if tuning.start else {})} for model in models]
    whole = [name for name in masks[0] if masks[0][name] is None]
    sparse = sorted({name for mask in masks for name, places in mask.items() if places is not None})
    device = next(network.parameters()).device
    index = {
        name: _stack_places([m.get(name) for m in masks], network.anatomy.by_name[name].size).to(device)
        for name in sparse
    }
    values = [_start_values(network, tuning, model, start, whole, index, run)
              for run, (model, start) in enumerate(zip(models, starts, strict=True))]  # fmt: skip
    pieces = cut(values[0])
    flat = torch.stack([torch.cat([v.reshape(-1).float() if v.dtype == torch.bfloat16 else v.reshape(-1)
                                   for v in value.values()]) for value in values])  # fmt: skip
    shared = {name: _shared([start[name] for start in starts]) for name in starts[0]}
    moved = {name for name in starts[0] if shared[name].ndim > models[0].weights[name].ndim or name in network.fresh}
    changed = {n for n in starts[0] if tuning.start and starts[0][n] is not models[0].weights[n]}
    own = (moved | changed) - set(whole) - set(sparse)
    fixed = {name: t if t.ndim > models[0].weights[name].ndim else t[None] for name, t in shared.items() if name in own}
    install(network, tuning, index)
    counts = tuple(_count(network, tuning, mask) for mask in masks)
    return Assembly(network, tuning, pieces, flat.to(device), shared, fixed, index, counts)


def _resolve(tuning: Tuning, model: Pretrained, network: Network) -> dict[str, Tensor | None]:
    """Find one run's mask: by tensor None for the whole of it, or the selected places, ascending."""
    chosen: dict[str, Tensor | None] = {}
    for entry in tuning.mask:
        if not isinstance(entry, Elements):
            chosen[entry] = None
            continue
        places, before = entry.choose(model), 0
        for name in entry.names:
            size = network.anatomy.by_name[name].size
            own = places[(places >= before) & (places < before + size)] - before
            before += size
            if len(own):
                assert name not in chosen, f"{name} is selected twice"
                chosen[name] = own
    head = [p.name for p in network.anatomy.head] if tuning.train_head else []
    return {**chosen, **dict.fromkeys(head)}


def _stack_places(places: Sequence[Tensor | None], size: int) -> Tensor:
    """Stack runs' places to [runs, elements]; runs with fewer get dead slots at `size`."""
    found = [torch.empty(0, dtype=torch.int64) if p is None else p for p in places]
    index = torch.full((len(found), max(map(len, found))), size)
    for row, own in zip(index, found, strict=True):
        row[: len(own)] = own
    return index


def _start_values(
    network: Network,
    tuning: Tuning,
    model: Pretrained,
    start: dict[str, Tensor],
    whole: Sequence[str],
    index: dict[str, Tensor],
    run: int,
) -> dict[str, Tensor]:
    """One run's trained values at the start, by piece: whole tensors, elements, inserted modules, extra ones."""
    values = {name: start[name] for name in whole}
    for name, places in index.items():
        padded = torch.cat([start[name].reshape(-1), start[name].new_zeros(1)])
        values[name] = padded[places[run].to(padded.device)]
    like = next(iter(model.weights.values()))
    for module, insertion in tuning.insert.items():
        outputs, inputs = network.anatomy.by_name[f"{module}.weight"].shape
        for name, shape in insertion.shapes(outputs, inputs).items():
            values[f"{module}.{name}"] = _inserted(name, like.new_zeros(shape), model)
    if tuning.injected is not None:
        values |= injection.start(tuning.injected, network.backbone, model.generator)
    for name, (shape, value) in tuning.extra.items():
        values[name] = like.new_full(shape, value)
    return values


def _inserted(name: str, like: Tensor, model: Pretrained) -> Tensor:
    """LoRA's A as a linear layer's weight is drawn by default (uniform, 1/sqrt(in)), an adapter's down-projection as BERT's."""
    if name == "lora_a":
        bound = like.shape[1] ** -0.5
        return torch.empty(like.shape).uniform_(-bound, bound, generator=model.generator).to(like)
    return draw(name, like, model.generator, model.config) if name == "adapter_down" else like


def cut(values: dict[str, Tensor]) -> tuple[Piece, ...]:
    """Give each of one run's values its columns, in their order."""
    found, start = [], 0
    for name, value in values.items():
        found.append(Piece(name, tuple(value.shape), start))
        start += value.numel()
    return tuple(found)


def _shared(tensors: Sequence[Tensor]) -> Tensor:
    """One tensor where all runs have the same one, else theirs stacked."""
    return tensors[0] if all(t is tensors[0] for t in tensors) else torch.stack(list(tensors))


def _count(network: Network, tuning: Tuning, mask: dict[str, Tensor | None]) -> int:
    """Count one run's trained elements, the head's left out."""
    sizes = {p.name: p.size for p in network.anatomy.parameters}
    own = sum(tuning.kept.get(n, sizes[n]) if p is None else len(p) for n, p in mask.items() if n in sizes)
    return int(own) + inserted(network.anatomy, tuning)
