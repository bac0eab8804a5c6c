"""Strategies that train some elements of tensors: drawn, farthest from the mean, or of largest gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Literal

from peftcli.errors import UserError
from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import LAYERNORMS
from peftcli.strategies.option_types import Count, Share
from peftcli.strategies.registry import strategy
from peftcli.strategies.tuning import Elements, Mask, Tuning

if TYPE_CHECKING:
    from torch import Tensor

    from peftcli.strategies.pretrained import Pretrained, Summed


@strategy
def random(
    model: Anatomy,
    count: Count | None = None,
    share: Share | None = None,
    draw: Literal["exact", "bernoulli"] = "exact",
    over: Literal["encoder", "all"] = "all",
    include_head: bool = False,
) -> Tuning:
    """Elements drawn at random, by default as many as `layernorm` trains (transferability; freezing; effectiveness).

    `draw: bernoulli` takes each element with probability `share`; `include_head` counts the head's elements, which all
    train, among those asked for (freezing: 0.1 % of all parameters, the classifier's included).
    """
    if count is not None and share is not None:
        raise UserError("strategy random takes a count or a share, not both")
    names = model.over(over)
    head = model.head_total if include_head else 0
    size = model.size(names) + head
    if count is None and share is None:
        count = model.size(model.names(LAYERNORMS))
    asked = part(share, size) if share is not None else count or 0
    if draw == "bernoulli":
        # The number drawn differs by run, so what is counted is its expectation.
        probability = share if share is not None else asked / size
        return Tuning((Elements(names, probability * (size - head), partial(_bernoulli, names, probability)),))
    # The head trains whole whatever is drawn, so it takes up its part of the number first.
    wanted = _within(asked - head, size - head, "count", head)
    return Tuning((Elements(names, wanted, partial(_draw, names, wanted)),))


@strategy
def layernorm_outlier(model: Anatomy, n: Count, of: Literal["both", "gain"] = "both") -> Mask:
    """The n elements of each LayerNorm farthest from its mean, gain and bias together (transferability, Table 4)."""
    return _each_layernorm(model, n, of, _farthest)


@strategy
def layernorm_random(model: Anatomy, n: Count, of: Literal["both", "gain"] = "both") -> Mask:
    """n elements of each LayerNorm drawn at random (transferability, Table 4)."""
    return _each_layernorm(model, n, of, _draw)


@strategy
def sam(
    model: Anatomy,
    share: Share = 0.005,
    over: Literal["encoder", "all"] = "all",
    choice: Literal["model", "tensor"] = "model",
    batches: Count | None = None,
) -> Mask:
    """The elements of largest squared training gradient at the start: second-order approximation (effectiveness).

    The gradient is the whole training set's, dropout off, and the top `share` is over all tensors together. The
    released code differs: `choice: tensor` takes the top share of each tensor, `batches: 599` sums that many batches'
    gradients, each clipped to norm 1, with dropout on.
    """
    return _top_share(model, share, over, choice, batches, "clipped")


@strategy
def gradient(
    model: Anatomy,
    share: Share = 0.005,
    over: Literal["encoder", "all"] = "all",
    choice: Literal["model", "tensor"] = "model",
    batches: Count = 64,
    summed: Literal["magnitudes", "gradients"] = "magnitudes",
) -> Mask:
    """The elements of largest absolute gradient, summed over the run's first training batches (SIFT, SPEFT).

    Song et al. (2024) rank |g| within each tensor over the first few batches, in their code over one (`choice: tensor`,
    `batches: 1`). Liu et al. (2025) rank |sum of g| over 64 batches of 16, in their scripts over all tensors together
    (`summed: gradients`). By default absolute values are summed, so that an element which batches pull to both sides counts,
    over as many batches as the latter take, and the top `share` is of all tensors. Dropout is off and nothing is clipped.
    """
    return _top_share(model, share, over, choice, batches, summed)


def part(share: float, size: int) -> int:
    """How many elements a share of `size` is: rounded down, the share read as the decimal it was written as."""
    # 0.29 * 100 is 28.999… in binary.
    return int(Decimal(str(share)) * size)


def shares(model: Anatomy, names: Sequence[str], share: float) -> dict[str, int]:
    """How many elements of each tensor a share selects; tensors too small to give one are left out."""
    counts = {name: part(share, model.by_name[name].size) for name in names}
    return {name: k for name, k in counts.items() if k} or {names[0]: 0}


def _top_share(model: Anatomy, share: float, over: str, choice: str, batches: int | None, summed: Summed) -> Mask:
    """The share of largest gradients of all elements together, or of each tensor's."""
    names = model.over(over)
    counts: dict[tuple[str, ...], int] = {names: part(share, model.size(names))}
    if choice == "tensor":
        counts = {(name,): k for name, k in shares(model, names, share).items()}
    # One entry of the mask, so that the gradients of all tensors are taken once.
    looked_at = tuple(name for group in counts for name in group)
    return (Elements(looked_at, sum(counts.values()), partial(_steepest, counts, batches, summed)),)


def _each_layernorm(model: Anatomy, n: int, of: str, choose: Callable[..., Tensor]) -> Mask:
    chosen: list[Elements] = []
    for module in model.modules(LAYERNORMS):
        names = [f"{module}.{kind}" for kind in (("weight", "bias") if of == "both" else ("weight",))]
        names = [name for name in names if name in model.by_name]  # ModernBERT's have no bias
        _within(n, model.size(names), "n")
        chosen.append(Elements(tuple(names), n, partial(choose, tuple(names), n)))
    return chosen


def _within(wanted: int, largest: int, what: str, head: int = 0) -> int:
    if not 0 < wanted <= largest:
        nearest = min(max(wanted, 1), largest) + head
        raise UserError(
            f"{what} = {wanted + head} selects {'nothing' if wanted <= 0 else 'more elements than there are'}: "
            f"the nearest is {nearest}; legal are {head + 1} to {largest + head}"
        )
    return wanted


def _bernoulli(names: Sequence[str], probability: float, model: Pretrained) -> Tensor:
    import torch

    drawn = [torch.rand(model.weights[name].numel(), generator=model.generator) < probability for name in names]
    return torch.cat(drawn).nonzero()[:, 0]


def _draw(names: Sequence[str], count: int, model: Pretrained) -> Tensor:
    """Draw `count` different positions, each set equally likely: first ones of a stream of draws, repeats left out."""
    import torch

    size = sum(model.weights[name].numel() for name in names)
    # Drawing with repeats left out is slow only where most of it is selected.
    if 2 * count > size:
        return torch.randperm(size, generator=model.generator)[:count].sort().values
    drawn = torch.empty(0, dtype=torch.int64)
    while True:
        drawn = torch.cat([drawn, torch.randint(size, (count + 16,), generator=model.generator)])
        order = torch.argsort(drawn, stable=True)
        ascending = drawn[order]
        # Of equal draws, which now lie next to each other in the order drawn, the first one counts.
        first = torch.ones_like(ascending, dtype=torch.bool)
        first[1:] = ascending[1:] != ascending[:-1]
        kept = order[first].sort().values
        if len(kept) >= count:
            return drawn[kept[:count]].sort().values


def _row(names: Sequence[str], tensors: dict[str, Tensor]) -> Tensor:
    import torch

    return torch.cat([tensors[name].detach().reshape(-1) for name in names])


def _farthest(names: Sequence[str], count: int, model: Pretrained) -> Tensor:
    # In float64, so that rounding makes no ties, which would go by position.
    row = _row(names, dict(model.weights)).double()
    return (row - row.mean()).abs().topk(count).indices.sort().values


def _steepest(counts: Mapping[tuple[str, ...], int], batches: int | None, summed: Summed, model: Pretrained) -> Tensor:
    import torch

    gradients = model.gradient(batches, summed)
    chosen, start = [], 0
    for names, count in counts.items():
        row = _row(names, gradients)
        # Ranking g² is ranking |g|.
        chosen.append(start + row.abs().topk(count).indices.sort().values)
        start += len(row)
    return torch.cat(chosen)
