"""What is counted of a program on the pretend GPU: kernels, host syncs, copies, bytes moved and bytes held, by source line.

An operation that reads or writes memory counts as one kernel (a few are more on a real GPU); views and `empty` are none. A sync
is whatever makes the host wait: a number read back, a result whose size depends on values, and every copy between host
and device that is not `non_blocking`, as torch makes them.
"""

import re
import sys
import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from types import CodeType, FrameType

import torch
from torch import Tensor

PACKAGE = Path(__file__).parents[1] / "peftcli"
BLOCK = 512  # bytes: what CUDA's allocator rounds up to
BACKWARD = "backward"  # the line of what torch's own functions do there where it is not known whose backward pass it is
CALLED = re.compile(r'\s*File "(.+)", line (\d+)')

# No memory is read or written.
VIEWS = frozenset(
    {
        "_reshape_alias", "_unsafe_view", "alias", "as_strided", "chunk", "detach", "diagonal", "empty", "empty_like",
        "empty_strided", "expand", "is_pinned", "is_same_size", "lift_fresh", "narrow", "new_empty", "new_empty_strided",
        "permute", "record_stream", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind",
        "unfold", "unsqueeze", "view", "view_as",
    }
)  # fmt: skip
# The size of the result, or the result itself, has to be read back.
SYNCS = frozenset(
    {
        "_local_scalar_dense", "_unique", "_unique2", "bincount", "equal", "is_nonzero", "item", "masked_select", "nonzero",
        "unique_consecutive", "unique_dim",
    }
)  # fmt: skip
# Of these the first tensor is read (written) only where the index says.
GATHERS = frozenset({"index_select", "embedding", "gather", "index", "take"})
SCATTERS = frozenset({"index_add_", "scatter_add_", "put_", "index_put_", "_index_put_impl_", "scatter_"})
# Of these the first tensor is written and not read.
FILLS = frozenset(
    {"copy_", "fill_", "zero_", "zeros_like", "ones_like", "full_like", "new_zeros", "new_full", "new_ones"}
)

Site = tuple[str, str]  # a line as engine/dropout.py:71, and an operation's name


@dataclass(frozen=True)
class Counts:
    """What happened between two moments: by line and operation, launches, waits, copies to the device, and bytes moved.

    A copy's operation is `pinned`, `pageable` (neither waits) or `blocking` (which is a sync too). `held_before`,
    `held_after` and `peak` are bytes of live tensors, `peak_by_line` by the line that made them (`before` counting).
    """

    kernels: Counter[Site]
    syncs: Counter[Site]
    copies: Counter[Site]
    traffic: Counter[Site]
    held_before: int
    held_after: int
    peak: int
    peak_by_line: Counter[str]


def by_line(counter: Counter[Site]) -> Counter[str]:
    """The same numbers by line alone."""
    return _summed((line, number) for (line, _), number in counter.items())


def by_operation(counter: Counter[Site]) -> Counter[str]:
    """The same numbers by operation alone."""
    return _summed((operation, number) for (_, operation), number in counter.items())


def described(counter: Counter[Site], most: int = 30) -> str:
    """The largest of a counter's numbers, a line each, for the message of a failing test."""
    rows = [f"{number:>12,} {line} {operation}" for (line, operation), number in counter.most_common(most)]
    return "\n".join([f"{counter.total():>12,} in all", *rows])


def _summed(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for name, number in pairs:
        total[name] += number
    return total


@dataclass
class Tally:
    """Counts as they come in."""

    kernels: Counter[Site] = field(default_factory=Counter)
    syncs: Counter[Site] = field(default_factory=Counter)
    copies: Counter[Site] = field(default_factory=Counter)
    traffic: Counter[Site] = field(default_factory=Counter)
    held_before: int = 0
    held_after: int | None = None  # once counting is over
    peak: int = 0
    peak_by_line: Counter[str] = field(default_factory=Counter)

    def kernel(self, operation: str, read: list[Tensor], written: list[Tensor]) -> None:
        """One launch, with the tensors that go in and come out of it."""
        site = source_line(), operation
        self.kernels[site] += 1
        self.traffic[site] += moved_bytes(operation, read, written)

    def counts(self, memory: "Memory") -> Counts:
        """The counts so far."""
        memory.write_peak()
        counters = (Counter(c) for c in (self.kernels, self.syncs, self.copies, self.traffic))
        held_after = memory.held if self.held_after is None else self.held_after
        return Counts(*counters, self.held_before, held_after, self.peak, Counter(self.peak_by_line))


class Memory:
    """Live tensors of the device: their bytes, and the lines that made them."""

    def __init__(self) -> None:
        self.held = 0
        self.by_line: Counter[str] = Counter()
        self.storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.tally: Tally | None = None
        self.rising = False  # whether the present moment is a peak whose lines are not written down yet

    def watch(self, tensor: Tensor) -> None:
        """Count a tensor's storage until the last tensor that uses it is gone."""
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self.storages:
            return
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        line = "before" if self.tally is None else source_line()
        self.storages[key] = weakref.ref(storage, lambda _: self._freed(key, size, line))
        self.held += size
        self.by_line[line] += size
        if self.tally is not None and self.held > self.tally.peak:
            self.tally.peak, self.rising = self.held, True

    def begin(self, tally: Tally, alive: Iterable[Tensor]) -> None:
        """Count into a tally from now on; what is alive by then was made before."""
        for tensor in alive:
            self.watch(tensor)
        self.by_line = Counter(before=self.held)
        self.tally, self.rising = tally, True
        tally.held_before = tally.peak = self.held

    def end(self) -> None:
        """Count no more."""
        self.write_peak()
        if self.tally is not None:
            self.tally.held_after = self.held
        self.tally = None

    def _freed(self, key: int, size: int, line: str) -> None:
        self.write_peak()
        del self.storages[key]
        self.held -= size
        self.by_line[line if line in self.by_line else "before"] -= size

    def write_peak(self) -> None:
        """Write down which lines' tensors are alive, if they never were more: done before the first of them is freed."""
        if self.rising and self.tally is not None:
            self.tally.peak_by_line, self.rising = +self.by_line, False


def moved_bytes(operation: str, read: list[Tensor], written: list[Tensor]) -> int:
    """Bytes that one kernel reads and writes at least: of what is expanded one copy, of what is indexed the elements met."""
    results = sum(map(_bytes, written))
    if operation in GATHERS:  # what comes out was read before, and the index too
        return 2 * results + sum(map(_bytes, read[1:]))
    if operation in SCATTERS:  # of the target as many elements as there are in the source, read and written
        return sum(map(_bytes, read[1:])) + 2 * max(map(_bytes, read[1:]), default=0)
    return results + sum(map(_bytes, read[1:] if operation in FILLS else read))


def _bytes(tensor: Tensor) -> int:
    elements = prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return elements * tensor.element_size()


def source_line() -> str:
    """The innermost line of the package that is running, as engine/dropout.py:71; in torch's own backward functions the line
    that they belong to, so marked."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_engine_run_backward":
        name = _in_package(frame.f_code)
        if name is not None:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return _forward_line()


@cache
def _in_package(code: CodeType) -> str | None:
    file = Path(code.co_filename)
    return str(file.relative_to(PACKAGE)) if file.is_relative_to(PACKAGE) else None


def _forward_line() -> str:
    """The line whose backward pass runs: torch writes down who called what while `set_detect_anomaly` is on."""
    node = torch._C._current_autograd_node()
    called = [] if node is None else node.metadata.get("traceback_", [])
    return next(filter(None, map(_line_in_package, reversed(called))), BACKWARD)


@cache
def _line_in_package(entry: str) -> str | None:
    """The line in an entry of a formatted traceback, if it is one of ours."""
    told = CALLED.match(entry)
    if told is None or not Path(told[1]).is_relative_to(PACKAGE):
        return None
    return f"{Path(told[1]).relative_to(PACKAGE)}:{told[2]} backward"
