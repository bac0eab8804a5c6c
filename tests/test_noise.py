"""Noise by hashing: the share that is dropped, and the independence of neighbours."""

import itertools

import pytest
import torch

from peftcli import noise

CPU = torch.device("cpu")


def kept(key: int, tokens: int, width: int, share: float = 0.1, site: int = 0) -> torch.Tensor:
    """Which elements stay, [tokens, width], as a site of a step keyed `key` draws it."""
    keys = torch.tensor([key], dtype=torch.int32)
    rows = noise.counting(keys, tokens)[0] * (noise.site_keys(keys, 40)[site] | 1)
    return noise.multipliers(rows, width, share, torch.float32) != 0


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.5, 0.9])
def test_the_share_is_the_asked_one_and_the_mean_stays(share):
    count = 2000 * 768
    found = noise.multipliers(noise.counting(torch.tensor([3], dtype=torch.int32), 2000), 768, share, torch.float64)
    error = (share * (1 - share) / count) ** 0.5
    assert (found == 0).double().mean().item() == pytest.approx(share, abs=5 * error)
    assert found[found != 0].unique().tolist() == pytest.approx([1 / (1 - share)], rel=1e-15)
    assert found.mean().item() == pytest.approx(1, abs=5 * error / (1 - share))


def test_rows_columns_sites_and_steps_are_uncorrelated():
    """Of every two rows (columns, sites, steps) as many elements are dropped together as chance says, within 5.5 sigma."""
    first = ~kept(11, 400, 400)
    for dropped in (first, first.T):
        together = dropped.double() @ dropped.double().T
        pairs = torch.stack([together[i, j] for i, j in itertools.combinations(range(400), 2)])
        assert (pairs - 4).abs().max() < 5.5 * (400 * 0.01 * 0.99) ** 0.5 + 4
        assert pairs.mean().item() == pytest.approx(4, abs=0.1)
        assert pairs.var().item() == pytest.approx(3.96, rel=0.05)
    for other in (*(~kept(11, 400, 400, site=n) for n in (1, 2, 39)), ~kept(12, 400, 400)):
        assert (first & other).double().mean().item() == pytest.approx(0.01, abs=5 * (0.01 / 160000) ** 0.5)


def test_heads_and_repetitions_draw_from_numbers_of_their_own():
    """A shared table would drop (head i, key j) wherever it drops (head j, key i)."""
    columns, heads, repeats = (noise.odd(500, spread, CPU) for spread in (noise._GOLDEN, noise.HEAD, noise.REPEAT))
    assert all(
        len(torch.unique(torch.cat(two)[: 2 * len(two[0])])) > 996
        for two in itertools.combinations((columns, heads, repeats), 2)
    )


def test_a_token_draws_the_same_wherever_a_slice_begins():
    keys = torch.tensor([5, 6], dtype=torch.int32)
    whole = noise.counting(keys, 20)
    part = noise.counting(keys, 8, torch.tensor([3, 12], dtype=torch.int32))
    assert torch.equal(part, torch.stack([whole[0, 3:11], whole[1, 12:20]]))
    assert bool((whole % 2 == 1).all())


def test_a_row_s_number_is_had_by_itself() -> None:
    keys = torch.tensor([5, -9], dtype=torch.int32)
    rows = noise.counting(keys, 50)
    assert torch.equal(noise.at(keys[1], torch.arange(20, 50, dtype=torch.int32)), rows[1, 20:])
