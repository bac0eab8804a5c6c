"""A run's start: its own head from its seed, and the gradient of the whole training set."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from peftcli.data.examples import Array, Examples
from peftcli.engine.batches import Batch, build, chosen
from peftcli.engine.evaluation import run_losses
from peftcli.engine.network import Network
from peftcli.engine.pretrained import fresh_tensors, training_gradient
from peftcli.experiment.run import Run
from peftcli.models.reach import Reading
from peftcli.strategies.pretrained import widened
from tests import tiny

CPU = torch.device("cpu")


def test_a_head_follows_from_the_seed_alone() -> None:
    network = Network(tiny.backbone("bert"), "pair", 2, "stock")
    first, again, other = (fresh_tensors(network, seed) for seed in (3, 3, 4))
    assert set(first) == {"head.out.weight", "head.out.bias"}
    assert torch.equal(first["head.out.weight"], again["head.out.weight"])
    assert not torch.equal(first["head.out.weight"], other["head.out.weight"])
    assert float(first["head.out.bias"].abs().max()) == 0


def taken(
    network: Network, weights: dict[str, torch.Tensor], run: Run, examples: Examples, batches: int | None, summed: Any
) -> dict[str, torch.Tensor]:
    """The gradient that a mask is chosen by, of ten examples."""

    def slices(picked: Array) -> Iterator[Batch]:
        yield build([(examples, picked)], Reading(), CPU)

    return training_gradient(network, weights, run, "pair", 10, slices, batches, summed)


@pytest.mark.parametrize("batches", [None, 2])
def test_the_gradient_is_of_the_mean_loss_or_of_clipped_batches(batches: int | None) -> None:
    """What `sam` ranks by."""
    network, examples = Network(tiny.backbone("bert"), "pair", 2, "stock"), tiny.examples("pair", 10)
    for dropout in network.dropouts().values():
        dropout.p = 0.0
    run = tiny.run("sam", batch_size=4)  # batches of 4, 4 and 2
    weights = {**network.weights, **fresh_tensors(network, 0)}
    gradient = taken(network, weights, run, examples, batches, "clipped")
    assert set(gradient) == set(weights)
    if batches:  # each batch's gradient has a norm of at most 1, all tensors together
        assert float(torch.stack([g.norm() for g in gradient.values()]).norm()) <= batches + 1e-9
        return
    leaves = {name: tensor[None].clone().requires_grad_() for name, tensor in weights.items()}
    batch = build([(examples, np.arange(10))], Reading(), CPU)
    loss = run_losses(network.call(leaves, {}, batch), batch, "pair").sum()
    for name, wanted in zip(leaves, torch.autograd.grad(loss, list(leaves.values()), allow_unused=True), strict=True):
        if wanted is not None:
            torch.testing.assert_close(gradient[name], wanted[0], rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("summed", ["gradients", "magnitudes"])
def test_batches_are_summed_with_their_signs_or_without(summed: Any, dtype: torch.dtype) -> None:
    """Without dropout, in float32 at least: bfloat16 would lose small terms of a sum of many."""
    network, examples = Network(tiny.backbone("bert", dtype=dtype), "pair", 2, "stock"), tiny.examples("pair", 10)
    assert any(dropout.p for dropout in network.dropouts().values())
    run, weights = tiny.run("gradient", batch_size=4), {**network.weights, **fresh_tensors(network, 0)}

    leaves = {name: widened(tensor)[None].clone().requires_grad_() for name, tensor in weights.items()}
    total = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in weights.items()}
    for step in range(3):
        batch = build([(examples, chosen(0, step, 10, 4))], Reading(), CPU)
        loss = run_losses(network.call(leaves, {}, batch), batch, "pair").sum()
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        for name, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient[0].abs() if summed == "magnitudes" else gradient[0]
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for name, gradient in taken(network, weights, run, examples, 3, summed).items():
        assert gradient.dtype == torch.promote_types(dtype, torch.float32)
        torch.testing.assert_close(gradient.double(), total[name], rtol=tolerance, atol=tolerance, msg=name)
