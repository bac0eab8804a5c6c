"""An embedding with a few trained elements: the numbers and gradients of a table for each run."""

import numpy as np
import pytest
import torch

from peftcli.engine.lookup import PARTS, add_elements, lookup

ROWS, WIDTH = 5, 4
DEAD = ROWS * WIDTH


@pytest.mark.parametrize(
    "index",
    [
        [[0, 3, 4, 13, 19], [1, 2, 8, DEAD, DEAD]],
        [[5, 6, 7], [DEAD, DEAD, DEAD]],
        [[16, 17, 18, 19], [16, 17, 18, 19]],  # in a row that no token reads
    ],
)
def test_elements_equal_a_table_for_each_run(index: list[list[int]]) -> None:
    source = torch.Generator().manual_seed(0)
    ids = torch.tensor([[0, 1, 3, 1, 1, 0], [2, 2, 0, 1, 3, 2]])
    positions = torch.tensor(index)
    weight = torch.randn(ROWS, WIDTH, dtype=torch.float64, generator=source)
    delta = torch.randn(positions.shape, dtype=torch.float64, generator=source).requires_grad_()
    flat = torch.cat([weight.flatten(), weight.new_zeros(1)]).repeat(2, 1)
    tables = flat.scatter_add(1, positions, delta)[:, :-1].view(2, ROWS, WIDTH)
    expected = torch.stack([table[of_run] for table, of_run in zip(tables, ids, strict=True)])
    pairs = lookup("word_embeddings", positions.numpy(), (ROWS, WIDTH)).pairs(ids.numpy())
    y = add_elements(delta, ids, weight, tuple(torch.from_numpy(pairs[part]) for part in PARTS))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    weights = torch.randn(y.shape, dtype=torch.float64, generator=source)
    ours, theirs = (torch.autograd.grad((out * weights).sum(), delta)[0] for out in (y, expected))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_pairs_by_hand() -> None:
    """Row 1 has the elements 0 and 1, row 4 the element 2; of the second run row 0 has the element 3."""
    index = np.array([[5, 6, 19], [2, DEAD, DEAD]])
    table = lookup("token_type_embeddings", index, (ROWS, WIDTH))
    assert table.reads == "types"
    pairs = table.pairs(np.array([[1, 4, 1], [0, 1, 2]]))
    assert pairs["element"].tolist() == [0, 0, 1, 1, 2, 3]
    assert pairs["target"].tolist() == [0 + 1, 8 + 1, 0 + 2, 8 + 2, 4 + 3, 12 + 2]
    assert pairs["touched"].tolist() == [0, 1, 2, 3]
    assert pairs["starts"].tolist() == [0, 2, 4, 5, 6]


def test_an_element_adds_up_its_tokens_in_their_order() -> None:
    """1e8 swallows a one that is added to it in float32: only in this order is the gradient 1."""
    delta = torch.zeros(1, 1, requires_grad=True)
    ids = torch.tensor([[0, 0, 0]])
    pairs = lookup("word_embeddings", np.array([[0]]), (1, 1)).pairs(ids.numpy())
    y = add_elements(delta, ids, torch.ones(1, 1), tuple(torch.from_numpy(pairs[part]) for part in PARTS))
    y.backward(torch.tensor([[[1e8], [-1e8], [1.0]]]))
    assert delta.grad is not None
    assert delta.grad.tolist() == [[1.0]]


def test_in_bfloat16_the_elements_stay_in_float32() -> None:
    delta = torch.tensor([[2.0**-10]], requires_grad=True)
    ids = torch.tensor([[0, 0]])
    pairs = lookup("word_embeddings", np.array([[0]]), (1, 1)).pairs(ids.numpy())
    tensors = tuple(torch.from_numpy(pairs[part]) for part in PARTS)
    y = add_elements(delta, ids, torch.zeros(1, 1, dtype=torch.bfloat16), tensors)
    assert y.dtype == torch.bfloat16
    assert y.tolist() == [[[2.0**-10], [2.0**-10]]]
    y.backward(torch.tensor([[[1.0], [2.0**-9]]], dtype=torch.bfloat16))
    assert delta.grad is not None
    assert delta.grad.item() == 1 + 2.0**-9, "summed in float32: bfloat16 would give 1"
