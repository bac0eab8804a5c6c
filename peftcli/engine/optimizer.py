"""Adam and AdamW over the one matrix of values: every run has its own learning rate and its own clip norm."""

from dataclasses import dataclass

import torch
from torch import Tensor

from peftcli.engine.assembly import Assembly
from peftcli.experiment.settings import Training

BLOCK = 1 << 18  # elements: the passes over a block find it in the processor's cache


@dataclass(frozen=True)
class Moments:
    """Adam's state: running means of gradients and of their squares, [runs, n] each, 8 bytes an element in float32.

    Never in bfloat16: a mean moves by a tenth of a gradient at a step, a mean square by a thousandth, which is less than half the
    gap to the next number there.
    """

    mean: Tensor
    square: Tensor


def moments(flat: Tensor) -> Moments:
    """The state before the first update, for values [runs, n]."""
    return Moments(torch.zeros_like(flat), torch.zeros_like(flat))


@dataclass(frozen=True)
class Decay:
    """Which columns weight decay moves, and where to: zero, or for a few strategies where the values `start`, [runs, n].

    `columns` [n] of 0 and 1 are those that decay (None: all), `anchored` [n] of 0 and 1 those drawn to their start (None: none).
    """

    columns: Tensor | None
    anchored: Tensor | None
    start: Tensor


def decay(assembly: Assembly, training: Training) -> Decay:
    """What weight decay does to each column.

    `biases and layernorms` are spared as usual: one-dimensional tensors, by name and role. Gates are always spared.
    """
    layernorms = {n for n, p in assembly.network.anatomy.by_name.items() if p.role.endswith("layernorm")}
    spare = training.weight_decay_spares != "nothing"
    columns = torch.ones(assembly.flat.shape[1], dtype=assembly.flat.dtype)
    anchored = torch.zeros_like(columns)
    for piece in assembly.pieces:
        spared = spare and (piece.name.endswith("bias") or piece.name in layernorms)
        # Extra tensors (gates, anchors) are aids of training and no weights: decay would mean something else for them.
        if spared or piece.name in assembly.tuning.extra:
            columns[piece.start : piece.stop] = 0
        if piece.name in assembly.tuning.differences:
            anchored[piece.start : piece.stop] = 1
    device = assembly.flat.device
    return Decay(
        None if bool(columns.all()) else columns.to(device),
        anchored.to(device) if bool(anchored.any()) else None,
        assembly.flat,
    )


@torch.no_grad()
def clip(gradient: Tensor, max_norm: float | None) -> None:
    """Scale each run's gradient, a row of [runs, n], to a norm of at most `max_norm`, in place."""
    if max_norm is not None and gradient.numel():
        norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient.mul_((max_norm / (norms + 1e-6)).clamp(max=1.0))  # as torch.nn.utils.clip_grad_norm_ does


@torch.no_grad()
def update(
    flat: Tensor,
    gradient: Tensor,
    state: Moments,
    step: int,
    rates: Tensor,
    training: Training,
    decay: Decay | None,
) -> None:
    """Make one Adam or AdamW update of `flat` [runs, n] in place.

    `gradient` and the moments are of its shape; `rates` [runs, 1] are this step's learning rates; `step` counts from 1;
    `decay` is None where nothing decays. Adam adds weight decay to the gradient, AdamW takes it off the weights (Loshchilov
    and Hutter, 2019).
    """
    b1, b2 = training.betas
    first, second = 1 - b1**step, (1 - b2**step) ** 0.5  # the moments start at zero: corrections of their bias
    # Block by block on a processor: a dozen passes over all of `flat` would each fetch it from memory. Elsewhere each pass over a
    # block is a kernel to launch, and no cache holds one.
    columns = max(1, BLOCK // len(flat)) if flat.device.type == "cpu" else max(1, flat.shape[1])
    for start in range(0, flat.shape[1], columns):
        block = slice(start, start + columns)
        value, grad, mean, square = flat[:, block], gradient[:, block], state.mean[:, block], state.square[:, block]
        if decay is not None:
            strength = training.weight_decay * (1.0 if decay.columns is None else decay.columns[block])
            # What decays: the values, or how far they are from where they started.
            away = value if decay.anchored is None else value - decay.start[:, block] * decay.anchored[block]
            if training.optimizer == "adam":
                grad = grad + away * strength
            elif decay.anchored is None:
                value.mul_(1 - rates * strength)
            else:
                value.sub_(away.mul_(rates).mul_(strength))  # exactly nothing of a value that has not moved
        mean.lerp_(grad, 1 - b1)
        square.mul_(b2).addcmul_(grad, grad, value=1 - b2)
        denominator = square.sqrt().div_(second).add_(training.epsilon)
        # Written over the denominator: without blocks a temporary is as large as all that trains.
        value.sub_(torch.div(mean, denominator, out=denominator).mul_(rates / first))
