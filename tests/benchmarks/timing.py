"""Timing side by side: both sides alternate in one process; the median of the rounds' ratios is what counts."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.workload import Step


@dataclass(frozen=True)
class Ratio:
    """How many times faster (or, where less is better, how many times as long) we are; `spread` its lowest and highest."""

    name: str
    ratio: float
    spread: tuple[float, float]
    ours: float  # seconds
    theirs: float  # seconds
    at_least: float | None
    at_most: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )


def steps_seconds(step: Step, count: int, device: torch.device) -> float:
    """The median seconds of a step."""
    times = []
    for _ in range(count):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def alternate(
    name: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    rounds: int,
    per_run: int = 1,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Ratio:
    """Time both sides in turn; a cohort's time is divided by its runs.

    The ratio is theirs over ours, and with `at_most` ours over theirs.
    """
    pairs = [(ours() / per_run, theirs()) for _ in range(rounds)]
    ratios = [(mine / other if at_most is not None else other / mine) for mine, other in pairs]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Ratio(name, statistics.median(ratios), (min(ratios), max(ratios)), mine, other, at_least, at_most)


def machine(device: torch.device) -> dict[str, Any]:
    """Name the machine and its load."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def named_file(on: dict[str, Any], prefix: str = "") -> Path:
    """The file in results/bench/ for numbers of this machine (`machine`)."""
    words = f"{prefix} {on['device']} {on['threads']} threads".lower()
    return Path("results") / "bench" / f"{re.sub(r'[^a-z0-9]+', '-', words).strip('-')}.json"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as stream:
            return next(line.split(":")[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
