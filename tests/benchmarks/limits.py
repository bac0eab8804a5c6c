"""What a GPU alone can tell: the memory that a cohort takes, what happens when it runs out, and whether NCCL starts."""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from peftcli.engine import dry_run
from peftcli.runner.costs import device_failed, free_memory, out_of_memory
from tests.benchmarks.timing import steps_seconds
from tests.benchmarks.workload import BATCH, cohort, ours

MARGIN = 1 << 28  # bytes beside what is in use already: less than a cohort of bert-base needs
GROUP = """
import json, sys, torch
from pathlib import Path
from peftcli.engine import parallel
device = parallel.join(Path(sys.argv[1]), 0, 1, sys.argv[2])
total = parallel._reduce(torch.full((3,), 2.0, device=device), torch.distributed.ReduceOp.SUM)
print(json.dumps({"device": str(device), "backend": torch.distributed.get_backend(), "sum": total.tolist()}))
torch.distributed.destroy_process_group()
"""


def memory_estimated(task: str, strategy: str, runs: int, on: torch.device, model: str) -> dict[str, Any]:
    """Bytes that a dry run counts for training on the longest batch, beside those that a GPU reserves for it."""
    members = cohort(task, strategy, on, model, runs, 3 if runs > 3 else 1)
    data = replace(members.data[0], train=dry_run.longest_examples(members.data[0].train, BATCH))
    network = members.network
    seen: dict[str, Any] = {
        "estimated_bytes": dry_run.peaks(members.runs, data, network.config, network.precision).training,
        "reserved_bytes": None,
    }
    if on.type == "cuda":
        free_memory()
        torch.cuda.reset_peak_memory_stats(on)
        steps_seconds(ours(replace(members, data=(data,) * runs)), 3, on)
        reserved = torch.cuda.max_memory_reserved(on)
        seen |= {"reserved_bytes": reserved, "estimated_share": round(seen["estimated_bytes"] / reserved, 3)}
    return seen


def memory_runs_out(on: torch.device, model: str) -> dict[str, Any]:
    """The error that a cohort too large for the memory raises, what peftcli takes it for, and whether the memory comes back."""
    if on.type != "cuda":
        return {"skipped": "a processor's memory is the whole machine's"}
    ours(
        cohort("rte", "layernorm", on, model)
    )()  # what stays in use anyway: the backbone, and the libraries' workspaces
    free_memory()
    before, total = torch.cuda.memory_allocated(on), torch.cuda.get_device_properties(on).total_memory
    seen: dict[str, Any] = {"raised": None}
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved(on) + MARGIN) / total), on)
    try:
        ours(cohort("rte", "layernorm", on, model, 21, 3))()
    except Exception as error:  # which one is what is asked
        kinds = [kind.__name__ for kind in type(error).__mro__[:-2]]
        seen = {"raised": kinds, "out_of_memory": out_of_memory(error), "device_failed": device_failed(error)}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, on)
    free_memory()
    seen |= {"before_bytes": before, "after_bytes": torch.cuda.memory_allocated(on)}
    ours(cohort("rte", "layernorm", on, model))()
    return {**seen, "trains_on": True}


def group_of_one(on: torch.device) -> dict[str, Any]:
    """A group's first process alone, in a process of its own: its device, its backend, and a sum over all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-c", GROUP, str(Path(folder) / "meeting"), on.type]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        return {"error": f"exit {done.returncode}: {done.stderr.strip()[-500:]}"}
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
