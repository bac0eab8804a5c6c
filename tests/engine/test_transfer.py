"""Arrays moved together come out as they went in, by one copy that nobody waits for."""

import numpy as np
import torch

from peftcli.engine.transfer import move
from tests import pretend
from tests.apart import needs_fork, run_apart
from tests.counts import Counts, by_operation

ARRAYS = {
    "mask": np.array([[True], [False], [True]]),  # three bytes: what follows starts at a multiple of eight
    "ids": np.arange(6).reshape(2, 3),
    "rates": np.array([0.5, 1e-300]),
    "counts": np.array([1, 2, 3], np.int32),
    "none": np.zeros((2, 0), np.int64),
    "across": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}


def test_every_array_keeps_its_shape_its_type_and_its_numbers() -> None:
    moved = move(ARRAYS, torch.device("cpu"))
    assert list(moved) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(moved[name].numpy(), array)
        assert moved[name].numpy().dtype == array.dtype
    assert len({tensor.untyped_storage().data_ptr() for tensor in moved.values()}) == 1


@pretend.needs_pretend
@needs_fork
def test_one_pinned_copy_and_no_wait() -> None:
    def copies() -> tuple[Counts, bool]:
        with pretend.gpu() as device:
            with pretend.counting() as counts:
                moved = move(ARRAYS, device)
            counted = counts()
            return counted, all(np.array_equal(moved[name].cpu().numpy(), ARRAYS[name]) for name in ARRAYS)

    counts, equal = run_apart(copies)
    assert equal
    assert by_operation(counts.copies) == {"pinned": 1}
    assert counts.syncs.total() == counts.kernels.total() == 0
