"""Magnitude pruning: the largest elements of each tensor train, chosen from the pre-trained weights or after a burn-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from peftcli.errors import UserError
from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import Parameter
from peftcli.strategies.option_types import Count, Share
from peftcli.strategies.pretrained import widened
from peftcli.strategies.registry import strategy
from peftcli.strategies.sparse import shares
from peftcli.strategies.tuning import Elements, Mask, Moment, Tuning

if TYPE_CHECKING:
    from torch import Tensor

    from peftcli.strategies.pretrained import Pretrained
    from peftcli.strategies.tuning import Values

ANCHOR = "anchor::"
FREE = 1e4  # an anchor of this value holds nothing: its element trains


@strategy
def magpruning(
    model: Anatomy, share: Share = 0.005, over: Literal["encoder", "all"] = "all", burn_in: Count | None = None
) -> Tuning | Mask:
    """The elements of largest magnitude of each tensor, chosen from the pre-trained weights (effectiveness).

    With `burn_in` (released: 499) everything trains for so many updates; then the elements that are largest by now
    train on, and the rest stays where it has drifted to.
    """
    # Effectiveness ranks |w| within each tensor, so that every tensor trains the same share.
    names = model.over(over)
    counts = shares(model, names, share)
    # As described the choice is made once, before training, so it is a mask like any other.
    if burn_in is None:
        return tuple(Elements((name,), k, partial(_largest, model.by_name[name], k)) for name, k in counts.items())
    if not sum(counts.values()):
        raise UserError(f"strategy magpruning with share = {share} selects nothing to train after the burn-in")
    # As released everything moves at first, so the choice cannot be a mask: an anchor an element holds it later.
    return Tuning(
        mask=names,
        extra={ANCHOR + name: (model.by_name[name].shape, FREE) for name in names},
        tensors=partial(_held, names),
        after_step=partial(_hold, {model.by_name[name]: counts.get(name, 0) for name in names}, burn_in),
    )


def _largest(tensor: Parameter, count: int, model: Pretrained) -> Tensor:
    values = widened(model.weights[tensor.name]).reshape(-1)
    return _magnitude(tensor, values).topk(count).indices.sort().values


def _magnitude(tensor: Parameter, values: Tensor) -> Tensor:
    """How large elements are where they compute: Gemma's gains count as 1 + w."""
    return (values + tensor.offset if tensor.offset else values).abs()


def _held(names: Sequence[str], values: Values, start: Values, moment: Moment) -> Values:
    """Put every element that is held at its anchor, so that neither gradient nor momentum nor decay reaches it."""
    weights = {name: value for name, value in values.items() if not name.startswith(ANCHOR)}
    for name in names:
        # No gradient reaches an anchor: it is set, not trained.
        anchor = values[ANCHOR + name].detach()
        weights[name] = values[name].where(anchor == FREE, anchor)
    return weights


def _hold(counts: Mapping[Parameter, int], burn_in: int, values: Values, start: Values, moment: Moment) -> None:
    """At the end of the burn-in anchor all elements but the largest ones where they are."""
    if moment.step + 1 != burn_in:
        return
    # The largest elements' anchors stay FREE; every other anchor takes what its element is now, and holds it there.
    for tensor, count in counts.items():
        name = tensor.name
        row = values[name].flatten(1)
        largest = _magnitude(tensor, row).topk(count, dim=1).indices
        values[ANCHOR + name].copy_(row.scatter(1, largest, FREE).view_as(values[name]))
