"""What training a cohort costs, and what a device says when it has no more memory to give."""

import gc
import time

import torch

from peftcli.engine.state import State


class Meter:
    """Measures one part of a cohort's training, from its beginning: what this process spends on it."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last = device, time.perf_counter()
        if device.type == "cuda":  # else an earlier, larger cohort's peak would stand in this one's records
            torch.cuda.reset_peak_memory_stats(device)

    def count(self, state: State) -> None:
        """Add to a state what was spent since the last time; of several parts, its peak of memory is the largest."""
        now = time.perf_counter()
        state.seconds += now - self.last
        self.last = now
        if self.device.type == "cuda":  # not measured on a processor
            state.peak_memory_bytes = max(state.peak_memory_bytes or 0, torch.cuda.max_memory_allocated(self.device))


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
