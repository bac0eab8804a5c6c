"""Where few elements of a matrix train, their gradients are gathered."""

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from peftcli.engine import training
from peftcli.engine.inserting import GATHER_BELOW
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
    loss = cohort.loss(state.flat, 0, cohort.batch(0)).sum()
    with Sizes():
        loss.backward()
    assert not {(64, 256), (256, 64), (1, 64, 256), (1, 256, 64), (61, 64)} & set(sizes)
    assert np.isfinite(state.flat.grad).all()
