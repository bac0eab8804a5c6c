"""What a training step takes: milliseconds, launches, the share of the time that the device is busy, memory, beside others'."""

from collections.abc import Iterable
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from peftcli.engine import compiling, fused, training
from peftcli.runner.costs import free_memory
from tests.benchmarks import trainer
from tests.benchmarks.timing import steps_seconds
from tests.benchmarks.workload import Step, cohort, ours

WARMING, TIMED = 3, 8  # steps
# What trains a few elements has no stock form: beside it stands what trains all.
STOCK = {"random": "full"}


def beside_stock(task: str, strategy: str, runs: int, on: torch.device, model: str, small: bool) -> dict[str, Any]:
    """A cohort's step, the stock model's by autocast and fused AdamW, and how many times the runs a second ours does."""
    mine = cost(ours(cohort(task, strategy, on, model, runs, _seeds(runs))), on, 1 if small else TIMED)
    free_memory()
    theirs = _stock(task, STOCK.get(strategy, strategy), on, model, 1 if small else TIMED)
    return {"ours": mine, "stock": theirs, "times_as_many_runs": round(theirs["ms"] * runs / mine["ms"], 2)}


@cache
def _stock(task: str, strategy: str, on: torch.device, model: str, steps: int) -> dict[str, Any]:
    with trainer.as_torch_comes():
        seen = cost(trainer.stock_step(model, task, strategy, on), on, steps)
    free_memory()
    return seen


def with_and_without_kernels(task: str, runs: int, on: torch.device, model: str) -> dict[str, Any]:
    """The same step with kernels of our own where they run, and with plain torch; whether the values come out equal."""
    seen: dict[str, Any] = {"serve": fused.serves(on)}
    values = []
    for name, patch in (("with", fused.serves), ("without", lambda device: False)):
        with mock.patch.object(fused, "serves", patch):
            members = cohort(task, "layernorm", on, model, runs, _seeds(runs))
            seen[name] = cost(ours(members), on, 2)
            values.append(_values(members))
    return {**seen, "same_bits": torch.equal(*values)}


def compiled(task: str, runs: int, on: torch.device, model: str, small: bool) -> dict[str, Any]:
    """The same step with the network's call compiled, and not; the first one of each is apart, since it compiles."""
    seen: dict[str, Any] = {}
    for name in ("as it is", "compiled"):
        members = cohort(task, "layernorm", on, model, runs, _seeds(runs))
        if name == "compiled":
            backend = "aot_eager" if small else "inductor"  # the latter takes minutes where it writes C++
            members.network.compiled = compiling.compiled(members.network.compute, backend)
        step = ours(members)
        first = steps_seconds(step, 1, on)
        seen[name] = {"first_seconds": round(first, 2), **cost(step, on, 1 if small else TIMED)}
        free_memory()
    return seen


def cost(step: Step, on: torch.device, count: int = TIMED) -> dict[str, Any]:
    """A step's median milliseconds, and of one more what was launched, how long the device was busy, and what took longest.

    On a processor operations are counted in the place of kernels, and memory is not measured.
    """
    steps_seconds(step, WARMING if count > 1 else 1, on)
    if on.type == "cuda":
        torch.cuda.reset_peak_memory_stats(on)
    milliseconds = steps_seconds(step, count, on) * 1e3
    memory = {}
    if on.type == "cuda":
        memory = {
            "peak_bytes": torch.cuda.max_memory_allocated(on),
            "reserved_bytes": torch.cuda.max_memory_reserved(on),
        }
    busy, launches, longest = _profiled(step, on)
    shares = {"busy_ms": round(busy, 3), "busy_share": round(busy / milliseconds, 3), "launches": launches}
    return {"ms": round(milliseconds, 3), **shares, **memory, "longest": longest}


def _profiled(step: Step, on: torch.device) -> tuple[float, int, list[tuple[str, int, float]]]:
    """Milliseconds in which anything ran on the device, launches, and the ten names that took longest: launches and ms each."""
    kind = DeviceType.CUDA if on.type == "cuda" else DeviceType.CPU
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        steps_seconds(step, 1, on)
    events = [event for event in profiler.events() or () if event.device_type == kind]
    by_name: dict[str, list[float]] = {}
    for event in events:
        by_name.setdefault(event.name, []).append(event.time_range.elapsed_us() / 1e3)
    longest = sorted(
        ((name[:60], len(times), round(sum(times), 3)) for name, times in by_name.items()), key=_negative_ms
    )
    return union((e.time_range.start, e.time_range.end) for e in events) / 1e3, len(events), longest[:10]


def _negative_ms(row: tuple[str, int, float]) -> float:
    return -row[2]


def union(spans: Iterable[tuple[float, float]]) -> float:
    """How long at least one of several spans of time lasts: kernels of two streams run at once, operations hold others."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _values(members: Any) -> torch.Tensor:
    state = training.begin(members)
    for _ in range(2):
        training.advance(members, state)
    return state.flat.detach()


def _seeds(runs: int) -> int:
    return 3 if runs > 3 else 1
