"""Adding many columns into few, in a fixed order: in passes, each of which meets a column at most once.

Where several numbers are added to one at the same time, a GPU adds them in an order that differs from run to run, and with it the
rounding. So the first numbers of all columns are one pass, the second ones the next, and so on.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from peftcli.data.examples import Array
from peftcli.engine.transfer import move

MOST = 8  # passes; a column with more numbers than that adds up the rest of them in a product


@dataclass(frozen=True)
class Passes:
    """An order of each run's elements in which their numbers are added to columns [runs, 1, ordered].

    `slots` [runs, ordered] says which element comes at a position, `live` whether one does: a run with fewer than its
    neighbours has gaps. `ends` is where each pass ends; behind the last are elements of columns that have more, and
    `rest_of` [runs, rest] says of which of the columns `rest_columns` [runs, 1, heads] each is.
    """

    slots: Tensor
    live: Tensor
    columns: Tensor
    ends: tuple[int, ...]
    rest_of: Tensor
    rest_columns: Tensor

    def order(self, values: Tensor) -> Tensor:
        """Elements' values [runs, elements] in this order, zero in the gaps: [runs, ordered]."""
        return torch.where(self.live, values.gather(1, self.slots), 0)

    def add(self, target: Tensor, numbers: Tensor) -> Tensor:
        """Add numbers [runs, tokens, ordered] to the columns of target [runs, tokens, width], in place."""
        start, tokens = 0, target.shape[1]
        for end in self.ends:
            target.scatter_add_(2, self.columns[..., start:end].expand(-1, tokens, -1), numbers[..., start:end])
            start = end
        if start == numbers.shape[2]:
            return target
        heads = torch.arange(self.rest_columns.shape[2], device=target.device)
        member = (self.rest_of[..., None] == heads).to(numbers.dtype)  # [runs, rest, heads]
        return target.scatter_add_(2, self.rest_columns.expand(-1, tokens, -1), numbers[..., start:] @ member)


def arrange(columns: Array, live: NDArray[np.bool_], device: torch.device) -> Passes:
    """The passes that add each run's elements to these columns, [runs, elements] both; dead elements are in none.

    Within a column elements stay in their order.
    """
    laid = [_lay(of_run, alive) for of_run, alive in zip(columns, live, strict=True)]
    # By pass as many elements as any run has in it; the last entry is what is behind the passes.
    widths = [max(int((of_pass == number).sum()) for _, of_pass in laid) for number in range(MOST + 1)]
    starts = np.cumsum([0, *widths])
    slots = np.zeros((len(columns), starts[-1]), np.int64)
    filled, rest_of = np.zeros(slots.shape, bool), np.zeros((len(columns), widths[-1]), np.int64)
    heads = []
    for run, (order, of_pass) in enumerate(laid):
        for number in range(MOST + 1):
            mine = order[of_pass == number]
            slots[run, starts[number] : starts[number] + len(mine)] = mine
            filled[run, starts[number] : starts[number] + len(mine)] = True
        own, member = np.unique(columns[run][order[of_pass == MOST]], return_inverse=True)
        rest_of[run, : len(member)] = member
        heads.append(own)
    rest_columns = np.zeros((len(columns), max(map(len, heads))), np.int64)
    for target, own in zip(rest_columns, heads, strict=True):
        target[: len(own)] = own
    arrays = {
        "slots": slots, "live": filled, "columns": np.where(filled, np.take_along_axis(columns, slots, 1), 0)[:, None],
        "rest_of": rest_of, "rest_columns": rest_columns[:, None],
    }  # fmt: skip
    ends = tuple(int(end) for end, width in zip(starts[1:-1], widths[:-1], strict=True) if width)
    return Passes(ends=ends, **move(arrays, device))


def _lay(columns: Array, live: NDArray[np.bool_]) -> tuple[Array, Array]:
    """One run's live elements sorted by pass, and each one's pass; `MOST` is behind the last."""
    alive = np.flatnonzero(live)
    order = alive[np.argsort(columns[alive], kind="stable")]
    _, first, counts = np.unique(columns[order], return_index=True, return_counts=True)
    of_pass = np.minimum(np.arange(len(order)) - np.repeat(first, counts), MOST)
    by_pass = np.argsort(of_pass, kind="stable")
    return order[by_pass], of_pass[by_pass]
