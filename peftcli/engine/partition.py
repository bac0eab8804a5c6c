"""What becomes of each tensor of a model: it trains whole or in some elements, is fixed elsewhere, or stays as loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from peftcli.engine.network import Network
from peftcli.strategies.pretrained import Pretrained
from peftcli.strategies.tuning import Elements, Tuning

Mask = dict[
    str, Tensor | None
]  # one run's: by tensor None for all of it, or its selected positions [elements], ascending
Start = Mapping[str, Tensor]  # tensors before training, by name


@dataclass(frozen=True)
class Partition:
    """Every tensor of a model (its head's too) in exactly one of four parts.

    `whole` names those that train in all their elements. `index` has by name the positions [runs, elements] of those that
    train in some (a dead slot is one past the end). `fixed` has by name the values [runs or 1, *shape] of those that stay
    elsewhere than where they were loaded; `frozen` names those that stay as loaded, shared by all runs.
    """

    whole: tuple[str, ...]
    index: dict[str, Tensor]
    fixed: dict[str, Tensor]
    frozen: frozenset[str]

    def check(self, network: Network) -> None:
        """Assert that the parts are the whole model and do not overlap: else something would train or stay unnoticed."""
        parts = (set(self.whole), set(self.index), set(self.fixed), self.frozen)
        for name in network.anatomy.by_name:
            memberships = sum(name in part for part in parts)
            assert memberships == 1, f"{name} is in {memberships} parts of the model, not in one"
        for name in (*self.whole, *self.index):
            assert name in network.anatomy.by_name, f"{name} would train, and the model has no such tensor"


def run_mask(network: Network, tuning: Tuning, model: Pretrained) -> Mask:
    """One run's mask. It may draw from the run's generator, so it is asked for once."""
    mask: Mask = {}
    for entry in tuning.mask:
        if not isinstance(entry, Elements):
            assert mask.get(entry) is None, f"{entry} is selected whole and in elements"
            mask[entry] = None
            continue
        # The entry's tensors lie end to end in one row: what is chosen there is cut at their borders.
        chosen, start = entry.choose(model), 0
        for name in entry.names:
            stop = start + network.anatomy.by_name[name].size
            positions = chosen[(chosen >= start) & (chosen < stop)] - start
            start = stop
            if len(positions):
                assert name not in mask, f"{name} is selected twice"
                mask[name] = positions
    head = [p.name for p in network.anatomy.head] if tuning.train_head else []
    return {**mask, **dict.fromkeys(head)}


def partition(network: Network, masks: Sequence[Mask], weights: Start, start: Start) -> Partition:
    """Split the model by its runs' masks and by where its tensors start.

    `weights` [*shape] are the first run's tensors as loaded or drawn; `start` [*shape] or, where runs differ, [runs, *shape].
    """
    device = next(network.parameters()).device
    # Whole tensors are the strategy's choice alone, the same for all runs; elements may be of other tensors in each run.
    whole = tuple(name for name in masks[0] if masks[0][name] is None)
    index = {
        name: _stack([mask.get(name) for mask in masks], network.anatomy.by_name[name].size).to(device)
        for name in sorted({name for mask in masks for name, positions in mask.items() if positions is not None})
    }
    fixed = {}
    for name, value in start.items():
        moved = value is not weights[name] or name in network.fresh  # a strategy moved it, or each run drew its own
        if moved and name not in whole and name not in index:
            fixed[name] = value if value.ndim > weights[name].ndim else value[None]
    # Found by looking at the loaded tensors themselves, not as what is left over: so `check` can fail.
    frozen = frozenset(
        name for name, weight in network.weights.items()
        if start[name] is weight and name not in whole and name not in index
    )  # fmt: skip
    return Partition(whole, index, fixed, frozen)


def _stack(positions: Sequence[Tensor | None], size: int) -> Tensor:
    """Stack runs' positions in a tensor of `size` elements to [runs, elements].

    A run with fewer than another (a Bernoulli draw, none of this tensor) gets dead slots: positions one past the end, which
    read zero and are written nowhere, so that all runs have as many columns.
    """
    rows = [torch.empty(0, dtype=torch.int64) if p is None else p for p in positions]
    index = torch.full((len(rows), max(map(len, rows))), size)
    for target, row in zip(index, rows, strict=True):
        target[: len(row)] = row
    return index
