"""The padded path: one run after another on a grid of its own, the same results as streams, dropout by the same masks."""

import copy

import pytest
import torch

from peftcli.engine import padded
from peftcli.engine.batches import build
from peftcli.engine.dropout import RunDropout
from peftcli.engine.network import Network
from tests import tiny

SITES = ("backbone.embeddings.dropout", "backbone.encoder.layer.1.attention.self.dropout")


def network_on_both(model_type="bert", kind="pair"):
    """A network on streams, and the same one on padded grids."""
    stream = Network(tiny.backbone(model_type), kind, 3 if kind == "token" else 2, "stock")
    grid = copy.deepcopy(stream)
    grid.stream = False
    grid.backbone.config._attn_implementation = padded.ATTENTION
    return stream, grid


@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_padded_equals_unpadded(model_type, kind):
    stream, grid = network_on_both(model_type, kind)
    _, batch, head = tiny.inputs(stream, kind)
    own = {
        name: torch.stack([t, t * 1.1]).requires_grad_()
        for name, t in stream.weights.items()
        if name in stream.anatomy.by_name
    }
    found = [net.call({**own, **head}, {}, batch) for net in (stream, grid)]
    present = batch.present.bool()
    rows = present.repeat_interleave(2, 1) if kind == "choice" else present
    torch.testing.assert_close(found[0][rows], found[1][rows], rtol=0, atol=1e-9)
    gradients = [
        torch.autograd.grad(part[rows].square().sum(), list(own.values()), allow_unused=True) for part in found
    ]
    for name, first, second in zip(own, *gradients, strict=True):
        if first is not None:
            torch.testing.assert_close(first, second, rtol=0, atol=1e-9, msg=name)


def test_dropout_drops_the_given_share_and_differs_by_run_sequence_and_site():
    dropout = RunDropout(0.25)
    dropout.key = torch.tensor(5, dtype=torch.int32)
    x = torch.ones(6, 3, 20, 64)
    kept = dropout(x) != 0
    assert kept.float().mean() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(dropout(x)[kept], torch.full((int(kept.sum()),), 4 / 3), rtol=1e-6, atol=0)
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0, 0], kept[0, 1])
    dropout.key = torch.tensor(6, dtype=torch.int32)
    assert not torch.equal(dropout(x) != 0, kept)
    assert torch.equal(RunDropout(0.25)(x), x)


def test_a_run_s_dropout_is_its_own():
    """A run's noise is the same alone and beside a run with longer sequences; attention is dropped from too."""
    _, grid = network_on_both()
    parts, batch, head = tiny.inputs(grid)
    names = list(grid.dropouts())
    keys, _ = grid.noise(names, torch.tensor([7, 90], dtype=torch.int32), batch)
    together = grid.call(head, keys, batch)
    plain = grid.call(head, {}, batch)
    assert (together - plain).abs().min() > 1e-6
    for run, part in enumerate(parts):
        alone = build([part], grid.reading, torch.device("cpu"))
        own, _ = grid.noise(names, torch.tensor([(7, 90)[run]], dtype=torch.int32), alone)
        one = grid.call({n: t[run : run + 1] for n, t in head.items()}, own, alone)
        torch.testing.assert_close(one[0], together[run, : one.shape[1]], rtol=0, atol=1e-12)
    for site in SITES:
        only = {f"{site}.key": keys[f"{site}.key"]}
        assert not torch.equal(grid.call(head, only, batch), plain), site
