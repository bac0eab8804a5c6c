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

MOST = 8  # passes at most
REST = (
    128  # elements of a run that are cheaper to add up in one product than in further passes, which are a kernel each
)


@dataclass(frozen=True)
class Passes:
    """An order of each run's elements in which their numbers are added to columns [runs, 1, ordered].

    `slots` [runs, ordered] says which element comes at a position, `gaps` whether none does: a run with fewer than its
    neighbours has some. `ends` is where each pass ends; behind the last are elements of columns that have more, and
    `member` [runs, rest, heads] says whether one is of a column among `rest_columns` [runs, 1, heads].
    """

    slots: Tensor
    gaps: Tensor
    columns: Tensor
    ends: tuple[int, ...]
    member: Tensor
    rest_columns: Tensor

    def order(self, values: Tensor) -> Tensor:
        """Elements' values [runs, elements] in this order, zero in the gaps: [runs, ordered]."""
        return values.gather(1, self.slots).masked_fill_(self.gaps, 0)

    def add(self, target: Tensor, numbers: Tensor) -> Tensor:
        """Add numbers [runs, tokens, ordered] to the columns of target [runs, tokens, width], in place."""
        start, tokens = 0, target.shape[1]
        for end in self.ends:
            target.scatter_add_(2, self.columns[..., start:end].expand(-1, tokens, -1), numbers[..., start:end])
            start = end
        if start == numbers.shape[2]:
            return target
        rest = numbers[..., start:] @ self.member  # [runs, tokens, heads]
        return target.scatter_add_(2, self.rest_columns.expand(-1, tokens, -1), rest)


def arrange(columns: Array, live: NDArray[np.bool_], device: torch.device, dtype: torch.dtype) -> Passes:
    """The passes that add each run's elements to these columns, [runs, elements] both; dead elements are in none.

    Within a column elements stay in their order. `dtype` is that of the numbers to be added.
    """
    laid = [_lay(of_run, alive) for of_run, alive in zip(columns, live, strict=True)]
    # By run the elements of each pass; after the first passes few columns are left that have more.
    counts = np.stack([np.bincount(of_pass, minlength=MOST + 1) for _, of_pass in laid])
    behind = [int(counts[:, number:].sum(1).max()) for number in range(MOST + 1)]
    most = next((number for number in range(1, MOST) if 0 < behind[number] <= REST), MOST)
    laid = [(order, np.minimum(of_pass, most)) for order, of_pass in laid]
    # By pass as many elements as any run has in it; the last entry is what is behind the passes.
    widths = [max(int((of_pass == number).sum()) for _, of_pass in laid) for number in range(most + 1)]
    starts = np.cumsum([0, *widths])
    slots = np.zeros((len(columns), starts[-1]), np.int64)
    filled, heads, of_head = np.zeros(slots.shape, bool), [], []
    for run, (order, of_pass) in enumerate(laid):
        for number in range(most + 1):
            mine = order[of_pass == number]
            slots[run, starts[number] : starts[number] + len(mine)] = mine
            filled[run, starts[number] : starts[number] + len(mine)] = True
        own, member = np.unique(columns[run][order[of_pass == most]], return_inverse=True)
        heads.append(own)
        of_head.append(member)
    rest_columns = np.zeros((len(columns), max(map(len, heads))), np.int64)
    belongs = np.zeros((len(columns), widths[-1], rest_columns.shape[1]), bool)
    for run, (own, member) in enumerate(zip(heads, of_head, strict=True)):
        rest_columns[run, : len(own)] = own
        belongs[run, np.arange(len(member)), member] = True
    arrays = {
        "slots": slots, "gaps": ~filled, "columns": np.where(filled, np.take_along_axis(columns, slots, 1), 0)[:, None],
        "member": belongs, "rest_columns": rest_columns[:, None],
    }  # fmt: skip
    ends = tuple(int(end) for end, width in zip(starts[1:-1], widths[:-1], strict=True) if width)
    moved = move(arrays, device)
    moved["member"] = moved["member"].to(dtype)  # what numbers are multiplied with, in their own type
    return Passes(ends=ends, **moved)


def _lay(columns: Array, live: NDArray[np.bool_]) -> tuple[Array, Array]:
    """One run's live elements sorted by pass, and each one's pass; `MOST` is behind the last."""
    alive = np.flatnonzero(live)
    order = alive[np.argsort(columns[alive], kind="stable")]
    _, first, counts = np.unique(columns[order], return_index=True, return_counts=True)
    of_pass = np.minimum(np.arange(len(order)) - np.repeat(first, counts), MOST)
    by_pass = np.argsort(of_pass, kind="stable")
    return order[by_pass], of_pass[by_pass]
