"""What a run starts from: its fresh tensors, and the training gradients that `sam` chooses its elements by."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from peftcli.data.examples import Array
from peftcli.engine.batches import Batch, chosen
from peftcli.engine.evaluation import run_losses, task_outputs
from peftcli.engine.network import Network
from peftcli.experiment.run import Run
from peftcli.noise import seed_key, step_keys
from peftcli.strategies.pretrained import Summed, draw, generator, widened

Gradients = tuple[Tensor | None, ...]


def fresh_tensors(network: Network, seed: int) -> dict[str, Tensor]:
    """Draw one run's head by name, and its pooler where the checkpoint has none, from the run's seed."""
    source = generator(seed, "head")
    like = widened(next(iter(network.weights.values()))[:0])  # of the device, and the precision that trains
    # In the anatomy's order: drawing in another one would give every tensor other numbers.
    names = [name for name in network.anatomy.by_name if name in network.fresh]
    shapes = {name: network.anatomy.by_name[name].shape for name in names}
    return {name: draw(name, like.new_empty(shape), source, network.config) for name, shape in shapes.items()}


def training_gradient(
    network: Network,
    weights: dict[str, Tensor],
    run: Run,
    kind: str,
    size: int,
    slices: Callable[[Array], Iterator[Batch]],
    batches: int | None,
    summed: Summed,
) -> dict[str, Tensor]:
    """The training gradient of every tensor by name, each of the tensor's shape, in float32 at least.

    Without `batches`: of the mean loss over the whole training set of `size` examples. With it: the sum over so many of
    the run's first training batches of each one's gradient, as `summed` says. Dropout is on only where they are clipped
    (as effectiveness was released).
    """
    batch_size, clipped = run.protocol.batch_size, batches is not None and summed == "clipped"
    # One run's leaves, [1, *shape]: a cohort's would need its whole model for every run at once.
    leaves = {name: _copy(tensor)[None].requires_grad_() for name, tensor in weights.items()}
    total = {name: torch.zeros_like(leaf[0]) for name, leaf in leaves.items()}
    for step in range(batches or -(-size // batch_size)):
        if batches:
            picked = chosen(run.seed, step, size, batch_size)
        else:
            picked = np.arange(step * batch_size, min(size, (step + 1) * batch_size))
        gradients: Gradients = ()
        for batch in slices(picked):
            noise = _dropout_noise(network, run.seed, step, batch) if clipped else {}
            outputs = task_outputs(network.call(leaves, noise, batch), kind)
            loss = run_losses(outputs, batch, kind).sum()
            of_slice = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
            gradients = _sums(gradients, of_slice) if gradients else of_slice
        # Batches of the whole set weigh what they have of it, since the last one may be shorter.
        scale = len(picked) / size if batches is None else _clip_factor(gradients) if clipped else 1.0
        for name, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient[0].abs() if summed == "magnitudes" else gradient[0] * scale
    return total


def _copy(tensor: Tensor) -> Tensor:
    """A tensor's values in memory of their own, in float32 at least: a weight that computes in bfloat16 has such a gradient."""
    wide = widened(tensor.detach())
    return wide.clone() if wide is tensor else wide


def _dropout_noise(network: Network, seed: int, step: int, batch: Batch) -> dict[str, Tensor]:
    """Dropout's numbers while a mask is chosen: keyed apart from those of training."""
    sites = [name for name, dropout in network.dropouts().items() if dropout.p]
    key = torch.tensor([seed_key(seed, "mask dropout")], dtype=torch.int32, device=batch.labels.device)
    return network.noise(sites, step_keys(key, step), batch)[0]


def _sums(first: Gradients, second: Gradients) -> Gradients:
    """The sum of each tensor's gradients of two slices, in float32 at least."""
    pairs = zip(first, second, strict=True)  # a tensor that the loss does not depend on has none in either
    return tuple(
        None if one is None or other is None else one.to(torch.promote_types(one.dtype, torch.float32)) + other
        for one, other in pairs
    )


def _clip_factor(gradients: Gradients) -> float:
    """What scales gradients to a norm of at most 1, over all tensors together."""
    norm = torch.stack([g.norm() for g in gradients if g is not None]).norm()
    return float((1.0 / (norm + 1e-6)).clamp(max=1.0))
