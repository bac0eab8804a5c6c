"""Layers that train a few elements: the numbers and gradients of a dense layer with those elements changed."""

import pytest
import torch
from torch.nn import functional as F

from peftcli.engine.sparse import ElementPositions, patched_linear, sparse_elements, sparse_linear

TOKENS, INPUTS, OUTPUTS = 5, 6, 4


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


# Fewer elements than inputs, and more: what is kept for the backward pass differs.
@pytest.mark.parametrize("index", [[[3, 10, 23], [0, 1, 2]], [[0, 1, 2, 3, 4, 5, 6, 7], [2, 3, 5, 7, 11, 13, 17, 23]]])
@pytest.mark.parametrize("shared_bias", [True, False])
def test_differences_equal_dense_weights(index: list[list[int]], shared_bias: bool) -> None:
    positions = torch.tensor(index)
    runs, elements = positions.shape
    weight = drawn(OUTPUTS, INPUTS)
    x, delta = drawn(runs, TOKENS, INPUTS).requires_grad_(), drawn(runs, elements).requires_grad_()
    bias = drawn(OUTPUTS).requires_grad_() if shared_bias else drawn(runs, OUTPUTS).requires_grad_()
    dense = weight.flatten().repeat(runs, 1).scatter_add(1, positions, delta).view(runs, OUTPUTS, INPUTS)
    expected = x @ dense.mT + (bias if shared_bias else bias[:, None])
    elements = sparse_elements(positions.numpy(), weight)
    y = sparse_linear(x, weight, bias, delta, elements)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    leaves, weights = [x, delta, bias], drawn(runs, TOKENS, OUTPUTS)
    wanted = torch.autograd.grad((expected * weights).sum(), leaves)
    for ours, theirs in zip(torch.autograd.grad((y * weights).sum(), leaves), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", [[3, 10, 23], [0, 1, 2, 3, 5, 7, 11, 13]])
def test_a_patched_weight_equals_a_dense_one_and_elsewhere_stays(index: list[int]) -> None:
    positions = torch.tensor([index])
    weight = drawn(OUTPUTS, INPUTS)
    patched = weight.clone()
    x, value = drawn(1, TOKENS, INPUTS).requires_grad_(), drawn(1, len(index)).requires_grad_()
    bias = drawn(OUTPUTS).requires_grad_()
    dense = weight.flatten()[None].scatter(1, positions, value).view(OUTPUTS, INPUTS)
    expected = F.linear(x, dense, bias)
    elements = ElementPositions(positions, positions[:, None] // INPUTS, positions[:, None] % INPUTS)
    y = patched_linear(x, value, patched, elements, bias)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    changed = (patched != weight).flatten().nonzero()[:, 0]
    assert changed.tolist() == index
    leaves, weights = [x, value, bias], drawn(1, TOKENS, OUTPUTS)
    wanted = torch.autograd.grad((expected * weights).sum(), leaves)
    for ours, theirs in zip(torch.autograd.grad((y * weights).sum(), leaves), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
