"""What a machine without a network would miss of a recipe, what it will train on, and what the sweep needs of it."""

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from peftcli import models, parameters, plan, tasks
from peftcli.data import corpora, hub, loading, own_data, tokens
from peftcli.errors import UserError
from peftcli.recipe import Recipe
from peftcli.running import environment, sizing
from peftcli.runs import Run
from peftcli.shapes.architectures import architecture

RECORD_BYTES = 30_000  # at most about so many: 200 training losses and 40 evaluations
VALUES_BYTES = 16  # for a trained number: itself, its gradient and Adam's two moments in float32
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "spm.model", "sentencepiece.bpe.model")


@dataclass(frozen=True)
class Item:
    """One thing a recipe reads: whether it is there without a network, and where, or what is wrong."""

    kind: str  # model, tokenizer or data
    name: str
    ready: bool
    where: str


def machine(output: Path) -> dict[str, Any]:
    """Describe this machine: device and precision that a run would get, hub and its cache, free disk in bytes."""
    from huggingface_hub import constants

    device = environment.device()
    gpu = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": str(environment.precision("auto", device)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "free_memory_bytes": gpu if gpu is not None else _free_memory(),
        "hub": constants.ENDPOINT,
        "hub_reachable": hub.reachable(),
        "hub_cache": constants.HF_HUB_CACHE,
        "cache_free_bytes": free_disk(Path(constants.HF_HUB_CACHE)),
        "output": str(output),
        "output_free_bytes": free_disk(output),
    }


def readiness(recipe: Recipe, data_dir: Path | None) -> list[Item]:
    """Read the model's files, the tokenizer and every task's data with the network off, and say what is there."""
    kinds = {tasks.TASKS[name].kind for name, _ in recipe.tasks if name in tasks.TASKS}
    with _without_network():
        found = [_weights(recipe.model), _tokenizer(recipe.model, "token" if "token" in kinds else "pair")]
        return found + [_data(name, data_dir) for name, entry in recipe.tasks if not entry.options]


def needs(recipe: Recipe, output: Path, size: int | None = None) -> dict[str, Any]:
    """Estimate what the recipe's missing runs need, in bytes: disk for records, memory for weights and trained values.

    Activations are not in it: they depend on the lengths of the texts. None where the model's sizes are not known.
    """
    runs = [planned.run for planned in plan.expand(recipe)]
    states = plan.states(runs, output)
    left = [run for run in runs if states[run.id] != "completed" and states[run.id] != "diverged"]
    device = environment.device()
    default = sizing.ON_GPU if device.type == "cuda" else sizing.ON_PROCESSOR
    together = size or sizing.pinned(output, sizing.sweep_id(runs)) or default
    found: dict[str, Any] = {
        "runs": len(runs),
        "runs_left": len(left),
        "record_bytes": sum(RECORD_BYTES + _predictions(run) for run in left),
    }
    try:
        columns = {run.company(): _columns(recipe.model, run) for run in left}
        counts = parameters.count(recipe.model, "frozen", {}, "pair", 2)
    except UserError:
        return found | {"weights_bytes": None, "values_bytes": None, "checkpoint_bytes": None}
    widest = max((sizing.limit(together, n) * n for n in columns.values()), default=0)
    bits = environment.precision(left[0].protocol.precision, device).itemsize if left else 4
    return found | {
        "weights_bytes": counts.total * (4 + (bits if bits != 4 else 0)),
        "values_bytes": widest * VALUES_BYTES,
        "checkpoint_bytes": widest * 16,
    }


def notes(recipe: Recipe) -> list[str]:
    """Say what a user should know of the recipe's model."""
    try:
        note = architecture(str(models.config(recipe.model).get("model_type"))).note
    except UserError:
        return []
    return [f"{recipe.model}: {note}"] if note else []


def problems(found: dict[str, Any]) -> list[str]:
    """Say what would stop the sweep on this machine as it is now, given `machine`, `ready` and `needs`."""
    here, wants = found["machine"], found.get("needs") or {}
    missing = [
        f"{item['kind']} {item['name']}: {item['where']}" for item in found.get("ready", []) if not item["ready"]
    ]
    disk = wants.get("record_bytes", 0) + (wants.get("checkpoint_bytes") or 0)
    memory = (wants.get("weights_bytes") or 0) + (wants.get("values_bytes") or 0)
    stopping = [] if here["hub_reachable"] else missing
    if disk > here["output_free_bytes"]:
        stopping.append(
            f"disk: {here['output']} has {here['output_free_bytes']:,} bytes, the sweep needs about {disk:,}"
        )
    if here["free_memory_bytes"] is not None and memory > here["free_memory_bytes"]:
        stopping.append(f"memory: {here['free_memory_bytes']:,} bytes are free, the sweep needs more than {memory:,}")
    return stopping


def free_disk(folder: Path) -> int:
    """Give the free bytes of the disk that a folder is on, or will be."""
    folder = folder.expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def _without_network() -> Iterator[None]:
    hub.reachable.cache_clear()
    try:
        with hub.offline():
            yield
    finally:
        hub.reachable.cache_clear()


def _weights(model: str) -> Item:
    from safetensors import safe_open

    from peftcli.engine.backbone import locate

    try:
        source = locate(model)
        config, weights = _file(source, "config.json"), [f for name in WEIGHTS if (f := _file(source, name))]
        if config is None or not weights:
            return Item("model", model, False, "not in the local hub cache")
        for shard in _shards(source, weights[0]):
            if shard is None:
                return Item("model", model, False, f"not all files that {weights[0].name} names are there")
            if shard.suffix == ".safetensors":
                with safe_open(shard, "pt") as opened:  # refuses a file that is cut short
                    opened.keys()
    except UserError as error:
        return Item("model", model, False, str(error))
    except Exception as error:  # a damaged file: the library has its own kinds
        return Item("model", model, False, f"damaged: {str(error).partition(chr(10))[0][:200]}")
    return Item("model", model, True, str(config.parent))


def _shards(source: str, weights: Path) -> list[Path | None]:
    import json

    if weights.suffix != ".json":
        return [weights]
    names = sorted(set(json.loads(weights.read_text())["weight_map"].values()))
    return [_file(source, name) for name in names]


def _file(source: str, name: str) -> Path | None:
    """Find a model's file in its folder or in the local hub cache."""
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        return Path(source) / name if (Path(source) / name).is_file() else None
    found = try_to_load_from_cache(source, name)
    return Path(found) if isinstance(found, str) else None


def _tokenizer(model: str, kind: tasks.Kind) -> Item:
    from peftcli.engine.backbone import locate

    try:
        source = locate(model)
        # Without these transformers makes a tokenizer that knows no word.
        if not any(_file(source, name) for name in VOCABULARIES):
            return Item("tokenizer", model, False, f"none of {', '.join(VOCABULARIES)} is there")
        tokens.load(source, kind)
    except UserError as error:
        return Item("tokenizer", model, False, str(error))
    return Item("tokenizer", model, True, "loads without a network")


def _data(name: str, data_dir: Path | None) -> Item:
    try:
        folder = corpora.data_folder(data_dir)
        corpus = loading.read(tasks.get(name), folder)
    except UserError as error:
        return Item("data", name, False, str(error))
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in corpus.rows.items())
    return Item("data", name, True, f"{sizes} ({folder or 'local cache'})")


def _columns(model: str, run: Run) -> int:
    task = own_data.of(run)
    labels = max(len(task.labels), 1)
    return parameters.columns(model, run.strategy, run.options, task.kind, labels, run.protocol.head)


def _predictions(run: Run) -> int:
    """At most how many bytes a run's predictions take: logits in float32, example numbers and labels."""
    task = tasks.TASKS.get(run.task)
    if task is None:
        return 0
    rows = sum(sum(task.counts.get(split, ())) or task.sizes.get(split, 0) for split in task.evaluation)
    return rows * (4 * max(1, len(task.labels)) + 16)


def _free_memory() -> int | None:
    """Free memory of the machine, None where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
