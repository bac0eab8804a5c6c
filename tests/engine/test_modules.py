"""What layers with a run dimension compute, keep for the backward pass, and leave out of it."""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from peftcli.engine import training
from peftcli.engine.modules import RunConv1d
from tests import backbones, tiny

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "matmul", "linear"}


class Products(TorchDispatchMode):
    """Counts the matrix products that reach the kernels."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.count[function.overloadpacket.__name__] += 1
        return function(*arguments, **(keywords or {}))

    @property
    def products(self):
        return sum(count for name, count in self.count.items() if name in PRODUCTS)


@pytest.mark.parametrize(("strategy", "expected"), [("layernorm", 115), ("bitfit", 123), ("full", 196)])
def test_backward_stops_at_the_lowest_trained_tensor(strategy, expected):
    model = tiny.backbone("bert", num_hidden_layers=12)
    cohort = tiny.cohort(model, [tiny.run(strategy, dropout=0.1)])  # with dropout on, attention is written out
    state = training.begin(cohort)
    loss = cohort.loss(state.flat, 0, cohort.batch(0)).total.sum()
    with Products() as counted:
        loss.backward()
    assert counted.products == expected


def saved_bytes(strategy):
    """Bytes of activations that autograd keeps for the backward pass, each storage once; parameters not counted."""
    model = tiny.backbone(
        "bert", dtype=torch.float32, num_hidden_layers=12, hidden_size=96, intermediate_size=384, num_attention_heads=12
    )
    cohort = tiny.cohort(model, [tiny.run(strategy, dropout=0.0, batch_size=12)])
    state = training.begin(cohort)
    own = {t.untyped_storage().data_ptr() for t in [*cohort.network.parameters(), state.flat]}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = cohort.batch(0)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = cohort.loss(state.flat, 0, batch).total
    assert loss.requires_grad
    return sum(kept.values())


def test_layernorm_saves_fewer_activations_than_full():
    assert saved_bytes("layernorm") / saved_bytes("full") <= 0.72


def test_a_layernorm_gain_moves_in_bfloat16_as_in_float32():
    moves = []
    for dtype in (torch.float32, torch.bfloat16):
        from peftcli.engine.backbone import narrowed

        model = narrowed(tiny.backbone("bert", dtype=torch.float32), dtype)
        cohort = tiny.cohort(model, [tiny.run("layernorm", 1e-3, dropout=0.0, steps=40, schedule="constant")])
        state = training.begin(cohort)
        for _ in training.train(cohort, state):
            pass
        assert state.flat.dtype == torch.float32
        start, end = (cohort.assembly.values(flat) for flat in (cohort.assembly.flat, state.flat.detach()))
        moves.append(torch.cat([(end[n] - start[n]).flatten() for n in start if "LayerNorm.weight" in n]))
    difference = (moves[0] - moves[1]).norm() / moves[0].norm()
    assert float(difference) < 0.02


@pytest.mark.parametrize("strategy", ["full", "bitfit", "mixout", "initbias_bitfit", "reinit_bitfit", "random"])
def test_a_convolution_s_trained_tensors_compute_in_the_backbone_s_precision(strategy):
    """DeBERTa-v2-xlarge has one; in bfloat16 its bias, trained in float32, met inputs in bfloat16."""
    from peftcli.engine.backbone import narrowed

    model = backbones.backbone(backbones.classifier("deberta-v2, own keys, convolution", dtype=torch.float32))
    cohort = tiny.cohort(narrowed(model, torch.bfloat16), [tiny.run(strategy, steps=2, dropout=0.1)])
    assert cohort.assembly.precision == torch.bfloat16
    assert tiny.trained(cohort).histories[0].diverged is None


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_with_runs_is_each_run_s_own(groups: int) -> None:
    source = torch.Generator().manual_seed(0)
    module = RunConv1d(4, 6, 3, padding=1, groups=groups).double()
    x = torch.randn(3 * 2, 4, 5, dtype=torch.float64, generator=source)  # [runs * batch, in, tokens]
    weights = torch.randn(3, *module.weight.shape, dtype=torch.float64, generator=source)
    biases = torch.randn(3, 6, dtype=torch.float64, generator=source)
    for weight, bias in ((weights, biases), (weights, biases[0]), (weights[0], biases), (weights[0], biases[0])):
        y = torch.func.functional_call(module, {"weight": weight, "bias": bias}, (x,))
        for run in range(3):
            own = (t[run] if t.ndim > shared else t for t, shared in ((weight, 3), (bias, 1)))
            theirs = torch.nn.functional.conv1d(x[2 * run : 2 * run + 2], *own, padding=1, groups=groups)
            torch.testing.assert_close(y[2 * run : 2 * run + 2], theirs, rtol=0, atol=1e-12)
