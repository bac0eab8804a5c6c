"""Memory is measured cohort by cohort, and a device that is out of memory is told from one that is lost."""

import os
import sys
from pathlib import Path

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
    assert state.seconds > 0


CPU, FIRST, SECOND = torch.device("cpu"), 192 * 2**20, 64 * 2**20


def measured(bytes_held: int) -> int | None:
    """The peak of a part in which so many bytes were held, beside what lay in memory before."""
    state = training.begin(tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm", steps=4)]))
    meter = Meter(CPU)
    torch.ones(bytes_held, dtype=torch.uint8)
    meter.count(state)
    return state.peak_memory_bytes


@pytest.mark.skipif(not os.access(costs.CLEAR, os.W_OK), reason="this system does not begin a process's peak anew")
def test_on_a_processor_the_peak_is_the_process_s_since_the_cohort_began() -> None:
    nothing, first, second = (measured(held) or 0 for held in (0, FIRST, SECOND))
    assert 0.9 * FIRST < first - nothing < 1.1 * FIRST
    assert 0.9 * SECOND < second - nothing < 1.1 * SECOND


def test_a_peak_that_cannot_begin_anew_is_known_where_it_is_passed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(costs, "CLEAR", tmp_path / "none" / "clear_refs")
    said = tmp_path / "status"
    monkeypatch.setattr(costs, "STATUS", said)
    state = training.begin(tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm", steps=4)]))
    for before, after, expected in ((500, 700, 700), (900, 900, 700), (900, 1000, 1000)):
        said.write_text(f"VmPeak:\t 5000 kB\nVmHWM:\t {before} kB\n")
        meter = Meter(CPU)
        said.write_text(f"VmPeak:\t 5000 kB\nVmHWM:\t {after} kB\n")
        meter.count(state)
        assert state.peak_memory_bytes == expected * 1024


def test_where_no_file_says_it_the_system_call_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(costs, "STATUS", tmp_path / "none")
    resource = pytest.importorskip("resource")
    assert 2**27 < costs.resident_peak() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    monkeypatch.setattr(costs.sys, "platform", "darwin")
    assert costs.resident_peak() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setitem(sys.modules, "resource", None)  # as where there is none
    assert costs.resident_peak() == 0


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
