"""`python -m tests.benchmarks.first_look`: what a GPU at hand for minutes is asked, in one JSON file in results/bench/.

Every strategy works there, equals the processor and repeats to the bit; what a step takes and launches, beside the stock model's;
what our kernels and compiling change; memory, estimated and run out of; a group of processes. Under 8 minutes; `--small` runs all
of it on any machine, with a few runs of a small model, to try the program itself.
"""

import argparse
import json
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from peftcli import files
from peftcli.engine.device import choose, prepare, resolve_precision
from peftcli.runner import environment
from peftcli.runner.costs import free_memory
from peftcli.strategies import registry
from tests import tiny
from tests.benchmarks import limits, sameness, step_cost
from tests.benchmarks.timing import machine, named_file

Facts = dict[str, Any]
Part = tuple[
    str, float, Callable[[], Facts]
]  # its name, the second after which it is not begun any more, what it looks at
LATEST = 480.0  # seconds after which a part at work is cut off: compiling takes as long as it likes
RUNS, MODEL = (1, 3), "bert-base-uncased"
CASES = (
    ("rte", "layernorm", 1), ("rte", "layernorm", 21), ("cola", "layernorm", 1), ("cola", "layernorm", 21), ("rte", "lora", 21),
    ("rte", "full", 1), ("rte", "random", 1), ("rte", "random", 21),
)  # fmt: skip
SMALL_CASES = (("cola", "layernorm", 1), ("cola", "lora", 2))


def main(arguments: list[str] | None = None) -> None:
    """Look at every part in turn and write down what there is after each: what is cut off still tells something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few runs of a small model: tries this program")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    parser.add_argument("--json", type=Path, help="the file to write, instead of one in results/bench/")
    options = parser.parse_args(arguments)
    on = choose(options.device)
    target = options.json or named_file(machine(on), "first-look")
    if on.type == "cpu" and not options.small:
        parser.error("no GPU here: --small tries the program on a processor")
    prepare(on, resolve_precision("auto", on))
    began, entries = time.monotonic(), list[Facts]()
    for part in parts(on, options.small):
        entries.append(entry(part, began))
        print(json.dumps(entries[-1]), flush=True)
        document = {"small": options.small, "seconds": round(time.monotonic() - began, 1), "parts": entries}
        files.write(target, json.dumps(document, indent=1) + "\n")
    print(f"wrote {target}", file=sys.stderr)


def parts(on: torch.device, small: bool) -> Iterator[Part]:
    """All parts, what matters most first: what has no time left is skipped, and what it leaves is the next one's."""
    model, cases = ("minilm", SMALL_CASES) if small else (MODEL, CASES)
    task, runs = ("cola", 2) if small else ("rte", 21)
    yield "facts", 480, partial(facts, on)
    for strategy in registry.STRATEGIES:
        for count in RUNS:
            yield f"strategy {strategy} x{count}", 170, partial(sameness.of_strategy, strategy, count, on)
    for kind in tiny.KINDS:
        yield f"kind {kind}", 190, partial(sameness.of_kind, kind, on)
    for case in cases:
        yield "step {} {} x{}".format(*case), 330, partial(step_cost.beside_stock, *case, on, model, small)
    yield "our kernels", 350, partial(step_cost.with_and_without_kernels, task, runs, on, model)
    for case in cases:
        yield "memory of {} {} x{}".format(*case), 365, partial(limits.memory_estimated, *case, on, model)
    yield "memory runs out", 370, partial(limits.memory_runs_out, on, MODEL)
    yield "a group of one", 390, partial(limits.group_of_one, on)
    yield "compiled", 400, partial(step_cost.compiled, task, runs, on, model, small)


def entry(part: Part, began: float) -> Facts:
    """What one part found, with the seconds it took; an error is what it found, too."""
    name, latest, look = part
    at = time.monotonic()
    if at - began > latest:
        return {"part": name, "skipped": f"begun by second {latest:g} or not at all"}
    signal.signal(signal.SIGALRM, _cut_off)
    signal.setitimer(signal.ITIMER_REAL, max(0.01, began + LATEST - at))
    try:
        seen = look()
    except Exception as error:  # whatever breaks on a machine that nobody has tried: the other parts tell something
        lines = traceback.format_exc().strip().splitlines()
        seen = {"error": f"{type(error).__name__}: {str(error)[:500]}", "where": lines[-7:-1]}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    free_memory()
    return {"part": name, "seconds": round(time.monotonic() - at, 2), **seen}


def _cut_off(*_: object) -> None:
    raise TimeoutError(f"cut off {LATEST:g} seconds after the start")


def facts(on: torch.device) -> Facts:
    """The machine: device, capability, driver, versions, memory, and the precision that `auto` is on it."""
    return {
        **environment.describe(on, resolve_precision("auto", on)),
        "memory_bytes": torch.cuda.get_device_properties(on).total_memory if on.type == "cuda" else None,
        "system": platform.release(),
    }


if __name__ == "__main__":
    main()
