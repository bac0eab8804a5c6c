"""Strategies that insert small modules (lora, adapter), and spafit, which does so by groups of layers."""

from collections.abc import Collection, Iterable
from typing import Literal

from peftcli.errors import UserError
from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import ATTENTION, LAYER
from peftcli.strategies.option_types import Amount, Count, Groups, Positive, Rate, Roles
from peftcli.strategies.registry import strategy
from peftcli.strategies.tuning import Bottleneck, Lora, Tuning

VARIANTS = {"I": ("query", "key", "value"), "II": ATTENTION}


@strategy
def lora(
    model: Anatomy,
    rank: Count = 8,
    alpha: Positive = 16.0,
    dropout: Rate = 0.0,
    variant: Literal["I", "II"] | None = None,
    targets: Roles | None = None,
    train_head: bool = True,
    b_start: Literal["zero", "uniform"] = "zero",
    dora: bool = False,
    rslora: bool = False,
) -> Tuning:
    """Low-rank matrices beside linear layers, by default query and value (LoRA).

    A model with one matrix for query, key and value has them beside that one.

    `variant` names spafit's choices (I: query, key, value; II: the attention's output too); `targets` lists any.
    `dora` trains each output's magnitude beside the direction that the matrices turn (Liu et al., 2024, equation 5);
    `rslora` scales by alpha / sqrt(rank) instead of alpha / rank (Kalajdzievski, 2023).
    The released code of effectiveness differs: `train_head: false` leaves the head at its random start, and
    `b_start: uniform` draws B within 1 / sqrt(rank), so that the model starts elsewhere than pre-trained.
    """
    if variant and targets:
        raise UserError("strategy lora takes a variant or targets, not both")
    roles = targets or _attention(model, VARIANTS[variant] if variant else ("query", "value"))
    if variant != "II":  # which is all of the attention, whatever a family has of it
        _check_roles(model, roles)
    matrices = Lora(rank, alpha, dropout, b_start == "uniform", dora, rslora)
    return Tuning(insert=dict.fromkeys(model.modules(roles), matrices), train_head=train_head)


def _attention(model: Anatomy, roles: Collection[str]) -> Collection[str]:
    """These layers of the attention, or, of a model with one matrix for query, key and value, that one and the others."""
    fused = "query_key_value"
    if fused not in {p.role for p in model.parameters}:
        return roles
    return tuple(dict.fromkeys(fused if role in ("query", "key", "value") else role for role in roles))


def _check_roles(model: Anatomy, roles: Iterable[str]) -> None:
    """Refuse a linear layer that the family does not have. Raises UserError."""
    linear = dict.fromkeys(p.role for p in model.parameters if p.layer and len(p.shape) == 2)
    for role in roles:
        if role not in linear:
            raise UserError(
                f"strategy lora: this model has no {role}: its linear layers are {', '.join(linear)}; "
                f"choose some with the option targets={'+'.join(name for name in linear if name in ATTENTION)}"
            )


@strategy
def adapter(
    model: Anatomy,
    placement: Literal["houlsby", "pfeiffer"] = "pfeiffer",
    size: Count | None = None,
    reduction: Count = 16,
    wiring: Literal["published", "before_dropout"] = "published",
    up_deviation: Amount = 0.02,
) -> Tuning:
    """Bottleneck networks behind the attention and the feed-forward (houlsby) or the feed-forward alone (pfeiffer).

    `size` is the bottleneck's width, by default the hidden size over `reduction`. With x what a sub-layer reads, y what
    it puts out (dropout included), N the LayerNorm behind their sum and b the bottleneck network, Houlsby et al. (2019)
    make N(x + y + b(y)), and Pfeiffer et al. (2021) N(x + y + b(N(x + y))), as the `adapters` library does; a model
    without a LayerNorm there has the sum alone. `wiring: before_dropout`, which earlier records have, is Houlsby's with
    the dropout behind the bottleneck, at either's places. The up-projection starts from a normal distribution of
    deviation `up_deviation` (0: the model starts as pre-trained).
    """
    # Pfeiffer et al. keep of Houlsby et al.'s two the one behind the feed-forward.
    roles = ("attention_output", "output") if placement == "houlsby" else ("output",)
    activation = "swish" if placement == "houlsby" else "relu"
    if wiring == "before_dropout":
        modules = model.modules(roles)
    else:
        modules = model.sublayer_ends(roles) if placement == "houlsby" else model.layer_ends()
    # The output's size, which is the hidden size for both sub-layers.
    hidden = model.by_name[model.names(("output",), kind="weight")[0]].matrix[0]
    width = size or hidden // reduction
    if width < 1:
        raise UserError(
            f"reduction = {reduction} leaves a bottleneck of nothing: the nearest is {hidden}; legal are 1 to {hidden}"
        )
    return Tuning(insert=dict.fromkeys(modules, Bottleneck(width, hidden, activation, up_deviation)))


@strategy
def spafit(
    model: Anatomy,
    groups: Groups,
    variant: Literal["I", "II"] = "I",
    rank: Count = 64,
    alpha: Positive = 128.0,
    dropout: Rate = 0.0,
    numbering: Literal["described", "released"] = "released",
) -> Tuning:
    """Lower layers frozen, middle ones biases alone, upper ones LoRA and feed-forward biases (SPAFIT).

    `groups` are the two numbers as printed. `released` counts layers from 0 with both numbers inside their groups,
    which gives every printed parameter count; `described` takes them as the last frozen and the last bias-only layer,
    from 1.
    """
    # Printed 4-9: layers 1 to 5 frozen (numbers 0 to 4), 6 to 10 biases, 11 and 12 LoRA, as counted from 0.
    shift = 1 if numbering == "released" else 0
    first, second = (number + shift for number in groups)
    if not first < second < model.layers:
        raise UserError(_ungrouped(groups, model.layers - 1 - shift, model.layers))
    middle = range(first + 1, second + 1)
    upper = range(second + 1, model.layers + 1)
    # Feed-forward biases and the LayerNorm behind it; the attention's own biases are frozen there.
    biases = (
        *model.names(LAYER, middle, "bias"),
        *model.names(("intermediate", "output", "ffn_layernorm"), upper, "bias"),
    )
    targets = model.modules(_attention(model, VARIANTS[variant]), upper)
    return Tuning(mask=biases, insert=dict.fromkeys(targets, Lora(rank, alpha, dropout)))


def _ungrouped(groups: list[int], last: int, layers: int) -> str:
    """Word why two numbers do not make three groups, the last legal number being `last`."""
    if last < 1:
        return f"spafit needs three groups of layers, and this model has {layers}: another model, or another strategy"
    first = min(groups[0], last - 1)
    nearest = f"{first}-{min(max(groups[1], first + 1), last)}"
    return (
        f"groups {'-'.join(map(str, groups))} must rise and leave an upper group: the nearest is {nearest}; "
        f"legal are two numbers from 0 to {last}, the first below the second"
    )
