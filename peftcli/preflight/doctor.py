"""What this machine is, what a sweep needs of it, and what would stop the sweep on it."""

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import torch

from peftcli import records
from peftcli.data import loading
from peftcli.engine import device as devices
from peftcli.errors import UserError
from peftcli.experiment import cohort_size, parameters, plan
from peftcli.experiment.recipe import Entry, Recipe
from peftcli.experiment.run import Run, task_of
from peftcli.models import catalogue, hub
from peftcli.models.tensors import architecture
from peftcli.preflight import offline, refusals
from peftcli.preflight.refusals import Refusal
from peftcli.tasks import own_data

RECORD_BYTES = 30_000  # at most about so many: 200 training losses and 40 evaluations
MEMORY = Path("/proc/meminfo")
VALUES_BYTES = 16  # for a trained number: itself, its gradient and Adam's two moments in float32


def machine(output: Path, asked: str | None = None) -> dict[str, Any]:
    """Describe this machine: device and precision that a run would get, hub and its cache, free disk in bytes.

    `asked` is --device. Raises UserError where that, or a GPU that is there, cannot be used.
    """
    from huggingface_hub import constants

    device = devices.choose(asked)
    gpu = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": devices.resolve_precision("auto", device),
        "threads": torch.get_num_threads(),
        "free_memory_bytes": gpu if gpu is not None else _free_memory(),
        "hub": constants.ENDPOINT,
        "hub_reachable": hub.reachable(),
        "hub_cache": constants.HF_HUB_CACHE,
        "cache_free_bytes": free_disk(Path(constants.HF_HUB_CACHE)),
        "output": str(output),
        "output_free_bytes": free_disk(output),
    }


def needs(recipe: Recipe, output: Path, size: int | None = None, asked: str | None = None) -> dict[str, Any]:
    """Estimate what the recipe's missing runs need, in bytes: disk for records, memory for weights and trained values.

    Activations are not in it: they depend on the lengths of the texts. None where the model's sizes are not known.
    Raises UserError where the files of a task of the user's own cannot be read.
    """
    runs = [planned.run for planned in plan.expand(recipe)]
    rows = {name: _evaluated_rows(recipe, name, entry) for name, entry in recipe.tasks}
    states = records.states(runs, output)
    left = [run for run in runs if states[run.id] != "completed" and states[run.id] != "diverged"]
    device = devices.choose(asked)
    # On a GPU cohorts are made to fit: what a single run takes is what is needed.
    together = 1 if device.type == "cuda" else cohort_size.choose(output, runs, size, on_gpu=False).cohort
    estimate: dict[str, Any] = {
        "runs": len(runs),
        "runs_left": len(left),
        # At most: logits in float32, an example's number and its label, 8 bytes each, for every evaluated row.
        "record_bytes": sum(
            RECORD_BYTES + rows[run.task] * (4 * max(1, len(task_of(run).labels)) + 16) for run in left
        ),
    }
    try:
        columns = {run.cohort_key(): parameters.run_columns(recipe.model, run) for run in left}
        counts = parameters.count(recipe.model, "frozen", {}, "pair", 2)
    except UserError:
        return estimate | {"weights_bytes": None, "values_bytes": None, "checkpoint_bytes": None}
    # Cohorts train one after another: the one with the most trained numbers decides.
    widest = max((cohort_size.limit(together, n) * n for n in columns.values()), default=0)
    precision = devices.resolve_precision(left[0].protocol.precision, device) if left else "float32"
    itemsize = devices.number_type(precision).itemsize
    return estimate | {
        # Weights are loaded in float32; where a run computes in another precision, a copy of them is made in it.
        "weights_bytes": counts.total * (4 + (itemsize if itemsize != 4 else 0)),
        "values_bytes": widest * VALUES_BYTES,
        "checkpoint_bytes": widest * 16,  # values, best values and two moments, in float32
    }


def refused(recipe: Recipe, data_dir: Path | None, findings: dict[str, Any]) -> list[Refusal]:
    """What a sweep of the recipe would refuse before its first run, in its words; of what a network will bring, nothing.

    `findings` holds `machine` and `ready`.
    """
    planned, errors = plan.expand_readable(recipe)
    folders = own_data.locations(recipe.path, [(name, entry.options) for name, entry in recipe.tasks])
    to_come = {
        item["name"] if item["kind"] == "data" else item["kind"]
        for item in findings["ready"]
        if not item["ready"] and not offline.is_missing(item, findings["machine"])
    }
    runs = [p.run for p in planned if p.run.task not in to_come]
    refused = refusals.unreadable(errors)
    if {"model", "tokenizer"} & to_come:
        return refused

    def source(run: Run) -> Path | None:
        return folders[run.task] if run.data is not None else data_dir

    return refused + refusals.check(recipe.model, runs, source, allow_other_data=False)


def notes(recipe: Recipe) -> list[str]:
    """Say what a user should know of the recipe's model."""
    try:
        note = architecture(str(catalogue.config(recipe.model).get("model_type"))).note
    except UserError:
        return []
    return [f"{recipe.model}: {note}"] if note else []


def problems(findings: dict[str, Any]) -> list[str]:
    """Say what would stop the sweep on this machine as it is now; `findings` holds `machine`, `ready` and `needs`."""
    here, wants = findings["machine"], findings.get("needs") or {}
    missing = [item for item in findings.get("ready", []) if offline.is_missing(item, here)]
    stopping = [f"{item['kind']} {item['name']}: {item['where']}" for item in missing]
    stopping += unsaid(findings)
    disk = wants.get("record_bytes", 0) + (wants.get("checkpoint_bytes") or 0)
    memory = (wants.get("weights_bytes") or 0) + (wants.get("values_bytes") or 0)
    if disk > here["output_free_bytes"]:
        stopping.append(
            f"disk: {here['output']} has {here['output_free_bytes']:,} bytes, the sweep needs about {disk:,}"
        )
    if here["free_memory_bytes"] is not None and memory > here["free_memory_bytes"]:
        stopping.append(f"memory: {here['free_memory_bytes']:,} bytes are free, the sweep needs more than {memory:,}")
    return stopping


def unsaid(findings: dict[str, Any]) -> list[str]:
    """The words of refusals, without those that say of an item of `ready` why it is missing."""
    missing = [item["where"] for item in findings.get("ready", []) if offline.is_missing(item, findings["machine"])]
    messages = [refusal["message"] for refusal in findings.get("refused", [])]
    return [message for message in messages if message not in missing]


def free_disk(folder: Path) -> int:
    """The free bytes of the disk that a folder is on, or will be once it is made."""
    folder = folder.expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _evaluated_rows(recipe: Recipe, name: str, entry: Entry) -> int:
    """On how many rows of a task a run's predictions are kept."""
    task = offline.task(recipe, name, entry)
    if "data" in entry.options:
        read = loading.read(task, own_data.location(recipe.path, entry.options)).rows
        return sum(len(read[split]) for split in task.evaluation)
    return sum(sum(task.counts.get(split, ())) or task.sizes.get(split, 0) for split in task.evaluation)


def _free_memory() -> int | None:
    """The memory in bytes that the machine has for programs; None where the system does not say."""
    # What Linux would give back of its cache of files counts too: after a day of work that is most of a machine's memory.
    available = [line for line in _memory_lines() if line.startswith("MemAvailable:")]
    if available:
        return int(available[0].split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # pages that nobody uses
    except (ValueError, OSError, AttributeError):
        return None


def _memory_lines() -> list[str]:
    try:
        return MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:  # only Linux has it
        return []
