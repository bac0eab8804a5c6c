"""The processes that train one cohort together: who this one is, and the few things they tell each other.

Alone (the usual case) everything here is the identity and costs nothing.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(hours=6)  # for the slowest thing that one process does while the others wait: tokenising


class Lost(SystemExit):
    """The group has come apart: every process of it ends, and what is not recorded yet stays missing."""

    def __init__(self, reason: str = "another process of the group is gone") -> None:
        super().__init__(70)
        print(f"process {rank()} of {size()}: {reason}", file=sys.stderr, flush=True)


def join(meeting: Path, rank: int, size: int) -> torch.device:
    """Join a group of `size` processes that meet in a file, and give this process's device.

    The group is accelerate's: NCCL and one GPU a process where there are GPUs, gloo on a processor. No port is taken.
    """
    from accelerate import PartialState

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # accelerate would set its own
    if not torch.cuda.is_available():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    state = PartialState(
        cpu=not torch.cuda.is_available(), init_method=meeting.as_uri(), rank=rank, world_size=size, timeout=PATIENCE
    )
    found: torch.device = state.device
    return found


def size() -> int:
    """How many processes train this cohort."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0; the first one writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def add(tensor: Tensor) -> Tensor:
    """Sum a tensor over the processes, in place; all get the same bits. Raises Lost."""
    return _reduce(tensor, distributed.ReduceOp.SUM) if size() > 1 else tensor


def largest(number: int, device: torch.device) -> int:
    """Give the largest of the processes' numbers. Raises Lost."""
    if size() == 1:
        return number
    return int(_reduce(torch.tensor([number], device=device), distributed.ReduceOp.MAX)[0])


def wait() -> None:
    """Wait for the other processes to come to the same place. Raises Lost."""
    if size() > 1:
        add(torch.zeros(1, device="cuda" if torch.cuda.is_available() else "cpu"))


def _reduce(tensor: Tensor, operation: distributed.ReduceOp.RedOpType) -> Tensor:
    try:
        distributed.all_reduce(tensor, operation)
    except RuntimeError:  # also what torch's own communication errors are
        raise Lost from None
    return tensor
