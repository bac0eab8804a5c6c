"""Arrays laid out by numpy, moved to the device together: one buffer, one copy, and nobody waits for it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALIGNED = 8  # bytes: a view of the buffer as numbers of 8 bytes begins at a multiple of them


def move(arrays: Mapping[str, NDArray[Any]], device: torch.device) -> dict[str, Tensor]:
    """The arrays as tensors on the device, by name, each of its shape and type: views of one buffer that was copied once."""
    starts, size = {}, 0
    for name, array in arrays.items():
        starts[name] = size
        size += -(-array.nbytes // ALIGNED) * ALIGNED
    # From memory that the system may move (not pinned) a copy to a GPU makes the processor wait for all that was launched before.
    buffer = torch.empty(size, dtype=torch.uint8, pin_memory=device.type not in ("cpu", "meta"))
    laid = buffer.numpy()
    for name, array in arrays.items():
        laid[starts[name] : starts[name] + array.nbytes] = array.reshape(-1).view(np.uint8)
    moved = buffer.to(device, non_blocking=True)
    return {name: _cut(moved, start, arrays[name]) for name, start in starts.items()}


def _cut(buffer: Tensor, start: int, like: NDArray[Any]) -> Tensor:
    """The bytes of a buffer from `start` on, as a tensor of an array's shape and type."""
    kind = torch.from_numpy(like.reshape(-1)[:0]).dtype
    return buffer[start : start + like.nbytes].view(kind).view(like.shape)
