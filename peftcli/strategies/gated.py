"""Diff pruning: a difference to the pre-trained weights behind gates that training closes, then a fixed share of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

from peftcli.models.anatomy import Anatomy
from peftcli.strategies.option_types import Count, GateStart, Positive, Share
from peftcli.strategies.registry import strategy
from peftcli.strategies.sparse import part, shares
from peftcli.strategies.tuning import Moment, Tuning

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from peftcli.strategies.tuning import Values

STRETCH = 3.0  # the hard-concrete gate is stretched over [-3, 3], then cut to [0, 1]
OPEN = 1e4  # a gate this far out is decided: exactly 1, or (negative) exactly 0, whatever the noise
GATE = "gate::"


@strategy
def diffpruning(
    model: Anatomy,
    share: Share = 0.005,
    over: Literal["encoder", "all"] = "all",
    penalty: Positive = 1.0,
    burn_in: Count = 499,
    again: Count | None = None,
    keep: Literal["open", "decided"] = "open",
    gate_start: GateStart = 5.0,
    include_head: bool = False,
    decays: Literal["difference", "weights"] = "difference",
) -> Tuning:
    """Weights move by a gated difference; an L0 penalty closes gates, and after `burn_in` updates a share stays open.

    A gate's log alpha starts at `gate_start` (Guo et al., 2021: 5, open). The gates kept are the most open ones.
    `released` differs: `gate_start: drawn` is the sigmoid of a standard normal number for each gate; `keep: decided` keeps those
    farthest from the middle, closed ones too; `include_head` gates the head too, so that of it a share alone moves.
    `again` starts the gates afresh and chooses anew that many updates after the start, over and over (Figure 3). Weight
    decay shrinks the difference, which is what is trained; `decays: weights` shrinks the weights themselves.
    """
    masked = shares(model, model.over(over), share)
    head = {p.name: part(share, p.size) for p in model.head} if include_head else {}
    counts = masked | head
    # A trained log alpha for each element, so what moves takes twice the room while it trains.
    first = _drawn if gate_start == "drawn" else gate_start
    gates = {GATE + name: (model.by_name[name].shape, first) for name in counts}
    return Tuning(
        mask=tuple(masked),
        extra=gates,
        tensors=partial(_gated, tuple(counts)),
        penalty=partial(_expected_open, tuple(counts), penalty),
        after_step=partial(_choose, counts, burn_in, again, keep, gate_start),
        differences=frozenset(counts) if decays == "difference" else frozenset(),
        kept=counts,
    )


def gate(log_alpha: Tensor, noise: Tensor | None) -> Tensor:
    """The hard-concrete gate: a stretched, cut sigmoid of log alpha plus logistic noise; without noise its middle."""
    import torch

    logistic = 0 if noise is None else torch.logit(noise, eps=1e-6)
    return (torch.sigmoid(log_alpha + logistic) * 2 * STRETCH - STRETCH).clamp(0, 1)


def _drawn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw one run's gates as the released code does: the sigmoid of a standard normal number each, [*shape]."""
    import torch

    return torch.randn(shape, generator=generator).sigmoid()


def _drawn_anew(moment: Moment, site: int, like: Tensor) -> Tensor:
    """Draw every run's gates of a tensor afresh while it trains, [runs, *shape]."""
    import torch

    from peftcli.noise import step_keys, uniform

    # By a hash, as no generator's state outlives the start; of other keys than the gates' noise at this step. The quantile of a
    # uniform number is a normal one.
    normal: Tensor = torch.special.ndtri(uniform(step_keys(~moment.keys, moment.step), site, like[0].numel()))
    return normal.sigmoid().view_as(like)


def _gated(names: tuple[str, ...], values: Values, start: Values, moment: Moment) -> Values:
    from peftcli.noise import uniform

    weights = {name: value for name, value in values.items() if not name.startswith(GATE)}
    for site, name in enumerate(names):
        # One gate an element, [runs, *shape]; noise differs by tensor (site) and by element.
        log_alpha = values[GATE + name]
        noise = uniform(moment.keys, site, log_alpha[0].numel()).view_as(log_alpha) if moment.training else None
        weights[name] = start[name] + gate(log_alpha, noise) * (values[name] - start[name])
    return weights


def _expected_open(names: tuple[str, ...], weight: float, values: Values, moment: Moment) -> Tensor:
    """The expected share of open gates: P(gate > 0) = sigmoid(log alpha - log(3 / 3)), the mean over all elements."""
    import torch

    # P(gate > 0) is sigmoid(log alpha), as the stretch is symmetric.
    size = sum(values[name][0].numel() for name in names)
    return weight / size * torch.stack([values[GATE + name].sigmoid().flatten(1).sum(1) for name in names]).sum(0)


def _choose(
    counts: Mapping[str, int],
    burn_in: int,
    again: int | None,
    keep: str,
    gate_start: float | Literal["drawn"],
    values: Values,
    start: Values,
    moment: Moment,
) -> None:
    """Decide every gate at the end of the burn-in: what is kept trains on, the rest stands at its pre-trained value."""
    updates = moment.step + 1  # this one included
    # Figure 3 of the paper: gates start anew, weights stay.
    if again and updates % again == 0:
        for site, name in enumerate(counts):
            log_alpha = values[GATE + name]
            if gate_start == "drawn":
                log_alpha.copy_(_drawn_anew(moment, site, log_alpha))
            else:
                log_alpha.fill_(gate_start)
    if (updates % again if again else updates) != burn_in:
        return
    for name, count in counts.items():
        log_alpha = values[GATE + name]
        # [runs, elements]; far below zero is closed, far above is open, near zero undecided.
        score = (log_alpha if keep == "open" else log_alpha.abs()).flatten(1)
        kept = score.topk(count, dim=1).indices
        chosen = score.new_full(score.shape, -OPEN).scatter_(1, kept, OPEN).view_as(log_alpha)
        log_alpha.copy_(chosen)
        values[name].copy_(values[name].where(chosen > 0, start[name]))
