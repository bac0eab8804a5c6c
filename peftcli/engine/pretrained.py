"""What a run starts from: its fresh tensors, and the training gradients that `sam` chooses its elements by."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from peftcli.data.examples import Array
from peftcli.engine import losses
from peftcli.engine.batches import Batch, chosen
from peftcli.engine.network import Network
from peftcli.experiment.run import Run
from peftcli.noise import seed_key, step_keys
from peftcli.strategies.pretrained import draw, generator


def fresh_tensors(network: Network, seed: int) -> dict[str, Tensor]:
    """Draw one run's head, and its pooler where the checkpoint has none, from the run's seed."""
    source = generator(seed, "head")
    like = next(iter(network.weights.values()))
    names = [name for name in network.anatomy.by_name if name in network.fresh]
    shapes = {name: network.anatomy.by_name[name].shape for name in names}
    return {name: draw(name, like.new_empty(shape), source, network.config) for name, shape in shapes.items()}


def training_gradient(
    network: Network,
    weights: dict[str, Tensor],
    run: Run,
    kind: str,
    size: int,
    batch: Callable[[Array], Batch],
    batches: int | None,
) -> dict[str, Tensor]:
    """Give the gradient by tensor name: of the mean loss over the whole training set, dropout off (effectiveness, described).

    With `batches` (released): the sum of so many training batches' gradients, each clipped to norm 1, dropout on.
    """
    leaves = {name: tensor[None].detach().clone().requires_grad_() for name, tensor in weights.items()}
    total = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    for step in range(batches or -(-size // run.protocol.batch_size)):
        picked = _picked(run, size, step) if batches else _in_order(run, size, step)
        part = batch(picked)
        noise = _noise(network, run, step, part) if batches else {}
        found = losses.scores(network.call(leaves, noise, part.stream, part.places, part.spans), kind)
        loss = losses.per_run(found, part, kind).sum()
        wanted = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        share = 1.0 if batches else len(picked) / size
        scale = _clip(wanted) if batches else share
        for name, gradient in zip(leaves, wanted, strict=True):
            if gradient is not None:
                total[name] += gradient[0] * scale
    return total


def _picked(run: Run, size: int, step: int) -> Array:
    return chosen(run.seed, step, size, run.protocol.batch_size)


def _in_order(run: Run, size: int, step: int) -> Array:
    start = step * run.protocol.batch_size
    return np.arange(start, min(size, start + run.protocol.batch_size))


def _noise(network: Network, run: Run, step: int, batch: Batch) -> dict[str, Tensor]:
    sites = [name for name, place in network.dropouts().items() if place.p]
    key = torch.tensor([seed_key(run.seed, "mask dropout")], dtype=torch.int32, device=batch.places.device)
    return network.noise(sites, step_keys(key, step), batch)


def _clip(gradients: tuple[Tensor | None, ...]) -> float:
    norm = torch.stack([g.norm() for g in gradients if g is not None]).norm()
    return float((1.0 / (norm + 1e-6)).clamp(max=1.0))
