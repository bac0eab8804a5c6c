"""Strategies that put weights elsewhere than pre-trained: before training, or back to it again while training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Literal

from peftcli.models.anatomy import Anatomy
from peftcli.strategies.option_types import Count, Rate, Share
from peftcli.strategies.registry import strategy
from peftcli.strategies.sparse import shares
from peftcli.strategies.tuning import Moment, Tuning

if TYPE_CHECKING:
    from torch import Tensor

    from peftcli.strategies.pretrained import Pretrained
    from peftcli.strategies.tuning import Values


@strategy
def initbias_bitfit(model: Anatomy) -> Tuning:
    """BitFit from biases set to zero, LayerNorms' and the head's too (freezing, section IV-D)."""
    names = model.names(kind="bias")
    return Tuning(mask=names, start=_zero_biases)


@strategy
def reinit_bitfit(model: Anatomy) -> Tuning:
    """BitFit on weights drawn anew, as before pre-training (freezing, Figure 6)."""
    offsets = {p.name: p.offset for p in model.parameters if p.offset}
    return Tuning(mask=model.names(kind="bias"), start=partial(_draw_anew, offsets))


@strategy
def mixout(
    model: Anatomy,
    share: Rate = 0.9,
    over: Literal["encoder", "all"] = "all",
    when: Literal["training", "evaluation"] = "training",
    mixes: Literal["linear", "everything"] = "linear",
    mask: Literal["columns", "elements"] = "columns",
) -> Tuning:
    """Full fine-tuning with a random share of linear layers' weights at their pre-trained value (Lee et al., 2020).

    `when: training` mixes afresh at every step and rescales by 1 / (1 - share), so that the mean over masks is the
    fine-tuned weight. As in Lee et al.'s code the weights of linear layers are mixed, whole columns of them: all that an
    input is multiplied by; they train without dropout (`dropout: 0.0`). `mixes: everything` mixes embeddings, biases and
    LayerNorms too, `mask: elements` element by element. `when: evaluation`, with both, is the released code of
    effectiveness, which resets only when evaluating.
    """
    names = model.over(over)
    linear = set(model.linear_weights())
    mixed = tuple(name for name in names if mixes == "everything" or name in linear)
    # As released, the weights that are evaluated have that many elements at their pre-trained value; as described none.
    kept = {name: (1 - share) * model.by_name[name].size for name in mixed} if when == "evaluation" else {}
    # By name the dimension along which a column lies, behind that of the runs: all that an input is multiplied by.
    along = {name: 2 if model.by_name[name].transposed else 1 for name in mixed}
    return Tuning(mask=names, tensors=partial(_mix, along, share, when, mask), kept=kept)


@strategy
def childpruning(
    model: Anatomy, share: Share = 0.005, over: Literal["encoder", "all"] = "all", every: Count = 1
) -> Tuning:
    """After every update, the elements of each tensor that moved most stay; the rest goes back (effectiveness)."""
    names = model.over(over)
    counts = shares(model, names, share)
    return Tuning(mask=tuple(counts), after_step=partial(_keep_most_moved, counts, every), kept=counts)


def _zero_biases(model: Pretrained) -> Mapping[str, Tensor]:
    biases = (name for name in model.weights if name.endswith(".bias"))
    return {name: model.initial(name) for name in biases}  # zeros, of the precision that trains


def _draw_anew(offsets: Mapping[str, float], model: Pretrained) -> Mapping[str, Tensor]:
    """Normal weights of the config's width, zero biases, LayerNorm gains of one, an all-zero row for padding."""
    drawn = {name: model.initial(name) for name in model.weights if not name.startswith("head.")}
    # A gain that counts as 1 + w is one where w is nothing.
    return drawn | {name: drawn[name] - offset for name, offset in offsets.items()}


def _mix(
    along: Mapping[str, int], share: float, when: str, mask: str, values: Values, start: Values, moment: Moment
) -> Values:
    """Put a random share of the tensors in `along` at their start; the head, which has no pre-trained value, is none of them.

    `along` is by name the dimension of [runs, *shape] along which a column lies.
    """
    if share == 0 or moment.training != (when == "training"):
        return values
    from peftcli.noise import uniform

    mixed = dict(values)
    for site, (name, value) in enumerate(values.items()):
        if name not in along:
            continue
        # A number for each element of a run's tensor, or for those of one row [runs, 1, *row], which all rows share.
        shape = list(value.shape)
        if mask == "columns" and value.ndim > 2:
            shape[along[name]] = 1
        reset = (uniform(moment.keys, site, prod(shape[1:])) < share).view(shape)
        # Lee et al. (2020): u + ((1 - M)(w - u)) / (1 - share), with u pre-trained and M the mask.
        moved = (value - start[name]).masked_fill(reset, 0)
        mixed[name] = start[name] + (moved / (1 - share) if when == "training" else moved)
    return mixed


def _keep_most_moved(counts: Mapping[str, int], every: int, values: Values, start: Values, moment: Moment) -> None:
    if (moment.step + 1) % every:
        return
    for name, count in counts.items():
        # |w - w0| of each run, ranked within the tensor: [runs, elements].
        moved = (values[name] - start[name]).flatten(1)
        kept = moved.abs().topk(count, dim=1).indices
        keep = moved.new_zeros(moved.shape).scatter_(1, kept, 1).bool().view_as(values[name])
        values[name].copy_(values[name].where(keep, start[name]))
