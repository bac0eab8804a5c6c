"""Adding columns in passes: what one scatter_add gives, and no pass meets a column twice."""

import numpy as np
import pytest
import torch

from peftcli.engine import passes
from peftcli.engine.passes import arrange

CPU = torch.device("cpu")
WIDTH, TOKENS = 9, 4
CASES = {
    "all different": ([[3, 1, 2], [0, 8, 5]], None),
    "some alike, one dead": ([[3, 3, 2, 3], [0, 8, 0, 5]], [[1, 1, 1, 1], [1, 1, 1, 0]]),
    "more in one column than there are passes": ([[4] * 20 + [1, 1], [*range(9), *range(9), 2, 2, 2, 2]], None),
    "two columns with more, one run has none": ([[4, 7] * 11, [*range(9), *range(9), 0, 1, 2, 3]], None),
    "a run with nothing": ([[1, 1], [0, 0]], [[1, 1], [0, 0]]),
}


@pytest.mark.parametrize("case", CASES)
def test_passes_add_what_a_scatter_adds(case: str) -> None:
    columns, alive = CASES[case]
    index = np.array(columns)
    live = np.ones(index.shape, bool) if alive is None else np.array(alive, bool)
    source = torch.Generator().manual_seed(0)
    numbers = torch.randn(2, TOKENS, index.shape[1], dtype=torch.float64, generator=source)
    target = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64, generator=source)
    counted = numbers * torch.from_numpy(live)[:, None]
    expected = target.scatter_add(2, torch.from_numpy(index)[:, None].expand(-1, TOKENS, -1), counted)
    arranged = arrange(index, live, CPU, torch.float64)
    ordered = torch.stack([arranged.order(numbers[:, token]) for token in range(TOKENS)], 1)
    torch.testing.assert_close(arranged.add(target.clone(), ordered), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_every_live_element_has_one_position_and_no_pass_a_column_twice(case: str) -> None:
    columns, alive = CASES[case]
    index = np.array(columns)
    live = np.ones(index.shape, bool) if alive is None else np.array(alive, bool)
    arranged = arrange(index, live, CPU, torch.float64)
    assert len(arranged.ends) <= passes.MOST
    for run in range(2):
        filled = ~arranged.gaps[run]
        assert sorted(arranged.slots[run][filled].tolist()) == np.flatnonzero(live[run]).tolist()
        start = 0
        for end in arranged.ends:
            own = arranged.columns[run, 0, start:end][filled[start:end]].tolist()
            assert len(own) == len(set(own))
            start = end


def test_in_a_column_numbers_are_added_in_the_elements_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "REST", 0)  # no product: all in passes
    arranged = arrange(np.array([[5, 2, 5, 5]]), np.ones((1, 4), bool), CPU, torch.float32)
    assert arranged.slots.tolist() == [[1, 0, 2, 3]]
    assert arranged.ends == (2, 3, 4)
    # 1e8 swallows a one that is added to it in float32: only in this order is the sum 1.
    added = arranged.add(torch.zeros(1, 1, 6), arranged.order(torch.tensor([[1e8, 7.0, -1e8, 1.0]]))[:, None])
    assert added.tolist() == [[[0, 0, 7, 0, 0, 1]]]


def test_the_few_that_are_left_after_some_passes_are_added_in_one_product() -> None:
    arranged = arrange(np.array([[5, 2, 5, 5, 2]]), np.ones((1, 5), bool), CPU, torch.float64)
    assert arranged.ends == (2,)  # the first of both columns
    assert arranged.rest_columns.tolist() == [[[2, 5]]]
    assert arranged.member.tolist() == [[[1, 0], [0, 1], [0, 1]]]
    numbers = arranged.order(torch.tensor([[1.0, 10.0, 2.0, 4.0, 20.0]], dtype=torch.float64))[:, None]
    assert arranged.add(torch.zeros(1, 1, 6, dtype=torch.float64), numbers).tolist() == [[[0, 0, 30, 0, 0, 7]]]
    # With more left than a product is worth, further passes come first.
    many = arrange(np.array([[0] * 3 + list(range(1, 200)) * 2]), np.ones((1, 401), bool), CPU, torch.float64)
    assert many.ends == (200, 400)
    assert many.member.shape == (1, 1, 1)
