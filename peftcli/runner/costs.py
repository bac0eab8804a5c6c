"""What training a cohort costs, and what a device says when it has no more memory to give."""

import gc
import re
import sys
import time
from pathlib import Path

import torch

from peftcli.engine.state import State

# What Linux says of this process's memory, and where it is asked to begin the peak anew.
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Meter:
    """Measures one part of a cohort's training, from its beginning: what this process spends on it."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last = device, time.perf_counter()
        # Else an earlier, larger cohort's peak would stand in this one's records.
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.stays = 0
        else:
            self.stays = begin_peak()

    def count(self, state: State) -> None:
        """Add to a state what was spent since the last time; of several parts, its peak of memory is the largest."""
        now = time.perf_counter()
        state.seconds += now - self.last
        self.last = now
        on_gpu = self.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self.device) if on_gpu else resident_peak()
        # A peak that stood before and was not passed is another cohort's: this one's is not known.
        if peak > self.stays:
            state.peak_memory_bytes = max(state.peak_memory_bytes or 0, peak)


def begin_peak() -> int:
    """Begin this process's peak of memory anew; the bytes at which it stays where the system cannot, else 0."""
    try:
        CLEAR.write_text("5")  # proc(5): resets the peak of resident memory alone
    except OSError:
        return resident_peak()
    return 0


def resident_peak() -> int:
    """The most bytes of this process that lay in memory at once, libraries included; 0 where no system call says it."""
    if STATUS.is_file():
        peak = re.search(r"^VmHWM:\s+([0-9]+) kB", STATUS.read_text(), re.MULTILINE)
        return int(peak[1]) * 1024 if peak else 0
    try:
        import resource
    except ImportError:  # Windows
        return 0
    # In bytes on macOS, in KiB elsewhere: getrusage(2).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, the device's or the processor's: fewer runs may fit."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # Outside of its own allocator PyTorch has no class for it: CUDA's own libraries, and the processor's allocator.
    said = str(error)
    return isinstance(error, RuntimeError) and any(
        words in said for words in ("CUDA error: out of memory", "STATUS_ALLOC_FAILED", "DefaultCPUAllocator")
    )


def device_failed(error: BaseException) -> bool:
    """Whether an error says that the device is lost: it fails from then on, until the process ends."""
    # PyTorch has a class for it from version 2.8 on.
    failed = isinstance(error, getattr(torch, "AcceleratorError", ())) or str(error).startswith("CUDA error")
    return failed and not out_of_memory(error)


def free_memory() -> None:
    """Release memory that is no longer in use, so that whoever comes next finds it in one piece."""
    gc.collect()  # an error and the frames it went through hold each other
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
