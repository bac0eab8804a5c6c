"""Where few elements of a matrix train, their gradients are gathered."""

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from peftcli.engine import training
from peftcli.engine.inserting import GATHER_BELOW
from peftcli.engine.modules import SparseLinear
from tests import tiny


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
    loss = cohort.loss(state.flat, 0, cohort.batch(0)).total.sum()
    with Sizes():
        loss.backward()
    assert not {(64, 256), (256, 64), (1, 64, 256), (1, 256, 64), (61, 64)} & set(sizes)
    assert np.isfinite(state.flat.grad).all()


def test_layers_that_run_several_times_train_a_few_elements_as_in_a_cohort():
    """ALBERT's one layer has no copy of a weight for one run: what it kept would change under its own second use."""
    wide = {"hidden_size": 64, "intermediate_size": 256, "embedding_size": 16, "pad_token_id": 1}
    model = tiny.backbone("albert", pooler=True, **wide)
    runs = [tiny.run("random", 1e-2, seed, {"share": 0.5 * GATHER_BELOW}, steps=3) for seed in range(2)]
    alone = [tiny.trained(tiny.cohort(model, [run])).flat[0].detach() for run in runs]
    together = tiny.cohort(model, runs)
    trained = together.assembly.values(tiny.trained(together).flat.detach())
    assert any(isinstance(module, SparseLinear) for module in together.network.modules())
    for row, own in enumerate(alone):
        first = tiny.cohort(model, [runs[row]]).assembly.values(own[None])
        for name, value in first.items():
            torch.testing.assert_close(
                trained[name][row].flatten()[: value.numel()], value.flatten(), rtol=0, atol=1e-9
            )
