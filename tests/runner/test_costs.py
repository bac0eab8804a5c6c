"""Memory is measured cohort by cohort, and a device that is out of memory is told from one that is lost."""

import pytest
import torch

from peftcli.engine import training
from peftcli.runner import costs
from peftcli.runner.costs import Meter
from tests import tiny


def test_the_peak_is_the_cohort_s_own_and_the_largest_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm", steps=4)])
    state, peak, resets = training.begin(cohort), [900], []
    # A GPU as far as a meter sees one.
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", resets.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: peak[0] if resets else 10**9)
    gpu = torch.device("cuda", 0)
    for measured, largest in ((900, 900), (300, 900), (1200, 1200)):
        peak[0] = measured
        Meter(gpu).count(state)
        assert state.peak_memory_bytes == largest
    assert resets == [gpu] * 3
    other = training.begin(cohort)
    Meter(torch.device("cpu")).count(other)
    assert other.peak_memory_bytes is None
    assert other.seconds > 0


@pytest.mark.parametrize(
    ("error", "memory", "lost"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True, False),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, False),
        (MemoryError("Unable to allocate 8.00 PiB"), True, False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False, True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("DefaultCPUAllocator"), False, False),
    ],
)
def test_out_of_memory_is_told_from_a_lost_device(error: Exception, memory: bool, lost: bool) -> None:
    assert (costs.out_of_memory(error), costs.device_failed(error)) == (memory, lost)


def test_the_processor_says_so_in_words_that_are_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert costs.out_of_memory(raised.value)


def test_errors_of_the_device_by_class_where_torch_has_one() -> None:
    if not hasattr(torch, "AcceleratorError"):
        pytest.skip("torch has a class for errors of a device from version 2.8 on")
    lost, full = (
        torch.AcceleratorError("an assertion on the device"),
        torch.AcceleratorError("CUDA error: out of memory"),
    )
    assert [costs.device_failed(error) for error in (lost, full)] == [True, False]
    assert [costs.out_of_memory(error) for error in (lost, full)] == [False, True]
