"""Dropout by hashing: the share, independence of neighbours, the same mask in every precision and in the backward pass."""

import torch

from peftcli import noise
from peftcli.engine import dropout
from peftcli.engine.dropout import RunDropout, drop


def test_the_mask_is_the_same_in_every_precision():
    rows = noise.counting(torch.tensor([5, -9], dtype=torch.int32), 300)
    masks = [noise.multipliers(rows, 333, 0.1, kind) != 0 for kind in (torch.float32, torch.float64)]
    assert torch.equal(*masks)
    half = drop(torch.ones(2, 300, 333, dtype=torch.bfloat16), rows, 0.1)
    assert torch.equal(half != 0, masks[0])
    assert half.dtype == torch.bfloat16


def test_the_backward_pass_drops_what_the_forward_pass_dropped(monkeypatch):
    x = torch.randn(2, 50, 64, dtype=torch.float64, requires_grad=True)
    rows = noise.counting(torch.tensor([5, 6], dtype=torch.int32), 50)
    whole = drop(x, rows, 0.3)
    (whole.sum()).backward()
    torch.testing.assert_close(x.grad, (whole / x).detach(), rtol=1e-12, atol=0)
    monkeypatch.setattr(dropout, "BLOCK", 640)
    assert torch.equal(drop(x, rows, 0.3), whole)


def test_no_key_no_dropout_and_no_share_neither():
    x = torch.randn(1, 4, 8)
    assert RunDropout(0.5)(x) is x
    place = RunDropout(0.0)
    place.key = noise.counting(torch.tensor([1], dtype=torch.int32), 4)
    assert place(x) is x
