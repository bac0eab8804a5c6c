"""Attention on a stream stays inside each sequence, its gradients too, and on a GPU every sum in it has a fixed order."""

from typing import Any

import numpy as np
import pytest
import torch

from peftcli import noise
from peftcli.engine import attention
from peftcli.engine.batches import build
from peftcli.engine.dropout import RunDropout
from peftcli.engine.network import Network
from peftcli.engine.views import Windows
from peftcli.models.reach import Reading
from tests import pretend, tiny
from tests.apart import needs_fork, run_apart
from tests.counts import by_operation

CPU = torch.device("cpu")
HEADS, WIDTH = 2, 4
# By run which examples: of unequal lengths, and of the second run one sequence less.
CHOSEN = [[3, 0, 7], [1, 2]]


def test_a_sequence_does_not_see_its_neighbours():
    network = Network(tiny.backbone("bert"), "pair", 2, "stock")
    examples = tiny.examples("pair", 12)

    def hidden(chosen):
        batch = build([(examples, np.array(chosen))], Reading(), CPU)
        return network.encode(batch.stream)[0, : examples.lengths[chosen[0]]]

    torch.testing.assert_close(hidden([3, 0, 7]), hidden([3]), rtol=0, atol=1e-12)
    torch.testing.assert_close(hidden([3, 0, 7]), hidden([3, 8]), rtol=0, atol=1e-12)


def drawn() -> torch.Tensor:
    """Queries, keys and values of both runs, [3, 2, more tokens than a batch here has, heads, width]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((3, 2, 100, HEADS, WIDTH), generator=generator, dtype=torch.float64)


def attend(
    device: torch.device, dropout: float, chosen: list[list[int]], query: bool = True, window: int | None = None
) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """What a stream's attention gives, [runs, tokens, hidden], and gradients of query, key and value, all in float64."""
    examples = tiny.examples("pair", 12)
    stream = build([(examples, np.array(c)) for c in chosen], Reading(), device).stream
    runs, tokens = stream.ids.shape
    around = frozenset[int]() if window is None else frozenset({window})
    grid = attention.grid_of(stream.layout, HEADS, torch.float64, Windows(around=around))
    values = drawn()[:, :runs, :tokens].to(device)
    leaves = [x.clone().requires_grad_(wanted) for x, wanted in zip(values, (query, True, True), strict=True)]
    module = torch.nn.Module()
    module.dropout = RunDropout(dropout)
    module.dropout.key = noise.counting(torch.arange(runs, dtype=torch.int32, device=device), tokens)
    heads = [x.transpose(1, 2) for x in leaves]
    attended = attention.stream_attention(module, *heads, grid=grid, sliding_window=window)[0].flatten(2)
    real = torch.tensor([[t < examples.lengths[c].sum() for t in range(tokens)] for c in chosen])
    # What fills up a shorter run is read by nobody, so no gradient comes from there.
    read = torch.where(real[..., None].to(device), attended, 0.0)
    (read * read.detach().cos()).sum().backward()
    return read.detach().cpu(), [x.grad.cpu() if x.grad is not None else None for x in leaves]


@pytest.mark.parametrize("window", [None, 2, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_s_gradients_are_those_it_has_alone(dropout: float, window: int | None) -> None:
    """Beside a run with more tokens too, though the rest of its row then only fills up and some cells are empty."""
    together, gradients = attend(CPU, dropout, CHOSEN, window=window)
    alone, of_alone = attend(CPU, dropout, CHOSEN[:1], window=window)
    torch.testing.assert_close(alone[0], together[0], rtol=0, atol=1e-12)
    for ours, theirs in zip(gradients, of_alone, strict=True):
        torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-12)
    for gradient in gradients:
        assert gradient is not None
        assert gradient.isfinite().all()
        count = int(tiny.examples("pair", 12).lengths[CHOSEN[1]].sum())
        assert gradient[1, :count].abs().max() > 0
        assert gradient[1, count:].abs().max() == 0, "what only fills up gets no gradient"


def test_gradients_equal_those_of_a_sequence_by_itself() -> None:
    """Of a run of three sequences with filled-up rows: each is attention over its own tokens, by torch's own function."""
    examples = tiny.examples("pair", 12)
    _, gradients = attend(CPU, 0.0, CHOSEN)
    values = drawn()[:, :, : gradients[0].shape[1]]
    for run, chosen in enumerate(CHOSEN):
        start = 0
        for length in examples.lengths[chosen]:
            own = slice(start, start + int(length))
            leaves = [x[run, own].transpose(0, 1).clone().requires_grad_() for x in values]
            out = torch.nn.functional.scaled_dot_product_attention(*leaves)
            (out * out.detach().cos()).sum().backward()
            for leaf, ours in zip(leaves, gradients, strict=True):
                torch.testing.assert_close(leaf.grad.transpose(0, 1), ours[run, own], rtol=0, atol=1e-12)
            start += int(length)


def on_a_gpu(dropout: float, query: bool) -> tuple[Any, Any]:
    with pretend.gpu() as device, pretend.counting() as counts:
        result = attend(device, dropout, CHOSEN, query)
    return by_operation(counts().kernels), result


@pytest.mark.parametrize(("dropout", "query"), [(0.0, True), (0.0, False), (0.3, True)])
@pretend.needs_pretend
@needs_fork
def test_on_a_gpu_attention_that_trains_is_products_alone(dropout: float, query: bool) -> None:
    """No kernel of torch's for attention, whose backward pass may add up in any order, and nothing added where rows collide."""
    kernels, (attended, gradients) = run_apart(on_a_gpu, dropout, query)
    assert not {name for name in kernels if "attention" in name or "index_add" in name or "scatter" in name}
    assert kernels["bmm"] + kernels["baddbmm"] == (6 if query else 5)
    expected, of_processor = attend(CPU, dropout, CHOSEN, query)
    torch.testing.assert_close(attended, expected, rtol=0, atol=1e-12)
    for ours, theirs in zip(gradients, of_processor, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pretend.needs_pretend
@needs_fork
def test_on_a_gpu_evaluation_takes_one_kernel_of_a_fixed_order(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = []
    real = attention.sdpa_kernel
    monkeypatch.setattr(attention, "sdpa_kernel", lambda backends: allowed.extend(backends) or real(backends))

    def evaluated() -> tuple[Any, list[str]]:
        with pretend.gpu() as device, torch.no_grad(), pretend.counting() as counts:
            stream = build([(tiny.examples("pair", 12), np.array([3, 0]))], Reading(), device).stream
            grid = attention.grid_of(stream.layout, HEADS, torch.float32)
            x = torch.ones(1, HEADS, stream.ids.shape[1], WIDTH, device=device)
            attention.stream_attention(torch.nn.Module(), x, x, x, grid=grid)
        return by_operation(counts().kernels), [backend.name for backend in allowed]

    kernels, names = run_apart(evaluated)
    assert kernels["_scaled_dot_product_fused_attention_overrideable"] == 1
    assert kernels["bmm"] == 0
    assert names == ["EFFICIENT_ATTENTION", "MATH"]
