"""The processes that train one cohort together: who this one is, its slice of every batch, and what they tell each other.

Alone (the usual case) everything here but the slice is the identity and costs nothing.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed

from peftcli.data.examples import Array, Examples
from peftcli.engine.batches import NO_LOOKUPS, Batch, Piece, build
from peftcli.engine.device import choose
from peftcli.engine.lookup import Lookup
from peftcli.errors import UserError
from peftcli.models.reach import Reading
from peftcli.stopping import LOST

PATIENCE = timedelta(hours=6)  # for the slowest thing that one process does while the others wait: tokenising


class Lost(SystemExit):
    """The group has come apart: every process of it ends, and what is not recorded yet stays missing."""

    def __init__(self, reason: str = "another process of the group is gone") -> None:
        super().__init__(LOST)
        print(f"process {rank()} of {size()}: {reason}", file=sys.stderr, flush=True)


def join(meeting: Path, rank: int, size: int, asked: str | None = None) -> torch.device:
    """Join a group of `size` processes that meet in a file; returns this process's device. `asked` is --device.

    The group is accelerate's: NCCL and one GPU a process where there are GPUs, gloo on a processor. They meet in a file, not
    at a port, since a port that is free now may be taken a moment later. Raises UserError where GPUs cannot work together.
    """
    from accelerate import PartialState

    # What torchrun would set; accelerate reads it from the environment alone.
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # accelerate would set its own
    on_processor = choose(asked).type == "cpu"
    if on_processor:
        os.environ.setdefault(
            "GLOO_SOCKET_IFNAME", "lo"
        )  # else gloo looks up the machine's name, which may lead nowhere
    try:
        state = PartialState(
            cpu=on_processor, init_method=meeting.as_uri(), rank=rank, world_size=size, timeout=PATIENCE
        )
    except (
        NotImplementedError
    ) as error:  # accelerate's for GPUs that cannot talk to each other directly, by their driver
        if "NCCL_P2P_DISABLE" not in str(error):
            raise
        raise UserError(
            "these GPUs cannot send to each other directly with this driver: "
            "export NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1, and run the command again"
        ) from None
    device: torch.device = state.device
    return device


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
    """The largest of the processes' numbers. Raises Lost."""
    if size() == 1:
        return number
    return int(_reduce(torch.tensor([number], device=device), distributed.ReduceOp.MAX)[0])


def wait() -> None:
    """Wait for the other processes to come to the same point. Raises Lost."""
    if size() > 1:
        add(torch.zeros(1, device="cuda" if distributed.get_backend() == "nccl" else "cpu"))


def _reduce(tensor: Tensor, operation: distributed.ReduceOp.RedOpType) -> Tensor:
    try:
        distributed.all_reduce(tensor, operation)
    except RuntimeError:  # also what torch's own communication errors are
        raise Lost from None
    return tensor


def slices(
    parts: Sequence[tuple[Examples, Array]],
    accumulate: int,
    reading: Reading,
    device: torch.device,
    lookups: Mapping[str, Lookup] = NO_LOOKUPS,
    rank: int = 0,
    size: int = 1,
) -> Iterator[Batch]:
    """The slices of a batch that process `rank` of `size` computes one after another: at most `accumulate`.

    Each is laid out when it is asked for; all of a batch is `build(parts, …)` itself.
    """
    # No more than there are examples: those of an epoch's short last batch would have nothing to compute.
    longest = max(len(picked) for _, picked in parts)
    each = min(accumulate, -(-longest // size))
    for number in range(rank * each, (rank + 1) * each):
        if each * size == 1:
            yield build(parts, reading, device, lookups)
        else:
            yield batch_slice(parts, number, each * size, reading, device, lookups)


def batch_slice(
    parts: Sequence[tuple[Examples, Array]],
    number: int,
    count: int,
    reading: Reading,
    device: torch.device,
    lookups: Mapping[str, Lookup] = NO_LOOKUPS,
) -> Batch:
    """Slice `number` (from 0) of `count` of the batch that `build(parts, …)` would lay out: a stretch of each run's examples.

    It notes what lies in front of it, so dropout falls on the same tokens as in one batch, and what the whole batch has, by
    which losses are divided.
    """
    before = [(examples, picked[: len(picked) * number // count]) for examples, picked in parts]
    stretches = [(examples, _stretch(picked, number, count)) for examples, picked in parts]
    piece = Piece(
        slices=count,
        counts=np.array([_losses(*part) for part in parts]),
        tokens=sum(_tokens(*part) for part in parts),
        # A slice has as many tokens of each run as its longest run has.
        slots=sum(len(parts) * max(_tokens(e, _stretch(p, other, count)) for e, p in parts) for other in range(count)),
        tokens_before=np.array([_tokens(*part) for part in before], np.int32),
        read_before=np.array([_losses(e, p) * e.group for e, p in before], np.int32),
        in_grid=np.array(
            [
                (len(front) * e.group, _longest(e, picked) - _longest(e, own))
                for (e, picked), (_, front), (_, own) in zip(parts, before, stretches, strict=True)
            ],
            np.int32,
        ),
        # Where a run has fewer examples than there are slices, some have one that does not count.
        counted=np.array(
            [len(picked) * (number + 1) // count > len(picked) * number // count for _, picked in parts], np.float32
        ),
    )
    return build(stretches, reading, device, lookups, piece)


def _stretch(picked: Array, number: int, count: int) -> Array:
    """The examples of a slice; the first of all where none is left for it, since a stream is never empty."""
    stretch = picked[len(picked) * number // count : len(picked) * (number + 1) // count]
    return stretch if len(stretch) else picked[:1]


def _tokens(examples: Examples, picked: Array) -> int:
    """How many tokens these examples have, all sequences of a group counted."""
    return int(examples.example_lengths[picked].sum())


def _longest(examples: Examples, picked: Array) -> int:
    """How many tokens the longest sequence of these examples has."""
    return int(examples.lengths.reshape(-1, examples.group)[picked].max())


def _losses(examples: Examples, picked: Array) -> int:
    """How many losses these examples have: one each, or one a word."""
    return len(picked) if examples.word_starts is None else int(np.diff(examples.word_starts)[picked].sum())
