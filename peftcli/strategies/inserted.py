"""Strategies that insert small modules (lora, adapter), and spafit, which does so by groups of layers."""

from typing import Literal

from peftcli.errors import UserError
from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import ATTENTION, LAYER
from peftcli.strategies.option_types import Count, Groups, Positive, Rate
from peftcli.strategies.registry import strategy
from peftcli.strategies.tuning import Bottleneck, Lora, Tuning

Role = Literal["query", "key", "value", "attention_output", "intermediate", "output"]
VARIANTS = {"I": ("query", "key", "value"), "II": ATTENTION}


@strategy
def lora(
    model: Anatomy,
    rank: Count = 8,
    alpha: Positive = 16.0,
    dropout: Rate = 0.0,
    variant: Literal["I", "II"] | None = None,
    targets: list[Role] | None = None,
    train_head: bool = True,
) -> Tuning:
    """Low-rank matrices beside linear layers, by default query and value (LoRA).

    `variant` names spafit's choices (I: query, key, value; II: the attention's output too); `targets` lists any.
    `train_head: false` leaves the head at its random start, as the released code of effectiveness does.
    """
    if variant and targets:
        raise UserError("strategy lora takes a variant or targets, not both")
    roles = VARIANTS[variant] if variant else targets or ("query", "value")
    inserted: dict[str, Lora | Bottleneck] = {m: Lora(rank, alpha, dropout) for m in model.modules(roles)}
    return Tuning(insert=inserted, train_head=train_head)


@strategy
def adapter(
    model: Anatomy,
    placement: Literal["houlsby", "pfeiffer"] = "pfeiffer",
    size: Count | None = None,
    reduction: Count = 16,
) -> Tuning:
    """Bottleneck networks behind the attention and the feed-forward (houlsby) or the feed-forward alone (pfeiffer).

    `size` is the bottleneck's width, by default the hidden size over `reduction`.
    """
    # Houlsby et al. (2019), Figure 2; Pfeiffer et al. (2021) keep the one behind the feed-forward.
    roles = ("attention_output", "output") if placement == "houlsby" else ("output",)
    activation = "swish" if placement == "houlsby" else "relu"
    modules = model.modules(roles)
    # By the output size, which is the hidden size for both modules.
    width = size or model.by_name[f"{modules[0]}.weight"].shape[0] // reduction
    if width < 1:
        raise UserError(f"reduction = {reduction} leaves a bottleneck of nothing")
    return Tuning(insert={module: Bottleneck(width, activation) for module in modules})


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
        last = model.layers - 1 - shift
        raise UserError(f"groups {groups} must rise and leave an upper group: legal are 0 to {last}, e.g. 4-{last}")
    middle = range(first + 1, second + 1)
    upper = range(second + 1, model.layers + 1)
    # Feed-forward biases and the LayerNorm behind it; the attention's own biases are frozen there.
    biases = (
        *model.names(LAYER, middle, "bias"),
        *model.names(("intermediate", "output", "ffn_layernorm"), upper, "bias"),
    )
    return Tuning(
        mask=biases, insert={module: Lora(rank, alpha, dropout) for module in model.modules(VARIANTS[variant], upper)}
    )
