"""What a step costs, counted: matrix products, saved activations, optimizer state, tokens."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from peftcli.engine import training
from peftcli.engine.inserting import GATHER_BELOW
from tests import tiny

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
    loss = cohort.loss(state.flat, 0, cohort.batch(0)).sum()
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
        loss = cohort.loss(state.flat, 0, batch)
    assert loss.requires_grad
    return sum(kept.values())


def test_layernorm_saves_fewer_activations_than_full():
    assert saved_bytes("layernorm") / saved_bytes("full") <= 0.72


@pytest.mark.parametrize("strategy", ["layernorm", "random", "layernorm_outlier", "lora", "full"])
def test_optimizer_state_is_eight_bytes_a_trained_element(strategy):
    cohort = tiny.cohort(tiny.backbone("bert", dtype=torch.float32), [tiny.run(strategy)])
    state = training.begin(cohort)
    trained = cohort.assembly.counts[0] + cohort.network.anatomy.head_total
    assert state.moments.mean.nbytes + state.moments.square.nbytes == 8 * trained


def trained(runs, examples=64):
    data = tiny.data("pair", examples)
    cohort = tiny.cohort(tiny.backbone("bert", dtype=torch.float32), runs, own=data)
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        pass
    return data, state


def test_tokens_computed_are_the_tokens_in_the_data():
    data, state = trained([tiny.run("layernorm", steps=None, epochs=2.0)])
    assert state.tokens == state.slots == 2 * len(data.train.ids)


def test_runs_of_one_seed_compute_no_token_more():
    runs = [tiny.run("layernorm", rate, 5, steps=None, epochs=2.0) for rate in (1e-4, 1e-3, 5e-3)]
    data, state = trained(runs)
    assert state.tokens == state.slots == 3 * 2 * len(data.train.ids)


def test_eight_seeds_compute_at_most_18_percent_more():
    runs = [tiny.run("layernorm", 1e-3, seed, steps=None, epochs=1.0, batch_size=16) for seed in range(8)]
    data, state = trained(runs, examples=256)
    assert state.tokens == 8 * len(data.train.ids)
    assert 1 <= state.slots / state.tokens <= 1.18


def test_sparse_gradients_form_no_dense_one():
    """Where few elements of a matrix train, no tensor of the matrix's size is made in the backward pass."""
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            made = function(*arguments, **(keywords or {}))
            given = {a.data_ptr() for a in arguments if isinstance(a, torch.Tensor)}
            if isinstance(made, torch.Tensor) and made.data_ptr() not in given:  # no view
                sizes.append(tuple(made.shape))
            return made

    wide = {"hidden_size": 64, "intermediate_size": 256}
    model = tiny.backbone("bert", dtype=torch.float32, **wide)
    cohort = tiny.cohort(model, [tiny.run("random", options={"share": 0.5 * GATHER_BELOW})])
    state = training.begin(cohort)
    loss = cohort.loss(state.flat, 0, cohort.batch(0)).sum()
    with Sizes():
        loss.backward()
    assert not {(64, 256), (256, 64), (1, 64, 256), (1, 256, 64), (61, 64)} & set(sizes)
    assert np.isfinite(state.flat.grad).all()


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
