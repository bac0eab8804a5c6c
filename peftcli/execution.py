"""Training one cohort from runs to records: load, gather, train, write. What goes wrong in a run becomes a record too."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from peftcli import backbone as backbones
from peftcli import engine, environment, heads, models, predictions, records, stopping
from peftcli.checkpoints import Checkpoints
from peftcli.cohort import Cohort, Data, gather
from peftcli.data import Prepared, prepare
from peftcli.engine import State
from peftcli.errors import UserError
from peftcli.runs import Run


@dataclass(frozen=True)
class Place:
    """Where runs read from and write to; nothing of it is part of a run. `model` is the id, alias or path as given."""

    model: str
    output: Path
    data_dir: Path | None = None
    allow_other_data: bool = False
    keep_predictions: bool = True
    save_delta: bool = False
    checkpoint_seconds: float = 600.0


Watch = Callable[[Cohort, State], None]  # called after every update, to show progress


def run_cohort(runs: Sequence[Run], wanted: Sequence[Run], place: Place, watch: Watch) -> list[Path]:
    """Train runs together and write the records of the `wanted` ones among them.

    Raises UserError where data or model cannot be had, Stopped on a signal (progress saved); any other error is written
    into a `failed` record of each run.
    """
    started = time.perf_counter()
    prepared = [prepare(run, place.model, place.data_dir, place.allow_other_data) for run in runs]
    try:
        cohort = _gather(runs, prepared, place)
        state = _train(cohort, place, watch)
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        return [_write_failed(run, own, error, place) for run, own in zip(runs, prepared, strict=True) if run in wanted]
    cost = {
        "seconds": time.perf_counter() - started,
        "steps": state.step,
        "tokens": state.tokens,
        "computed_tokens": state.slots,
        "peak_memory_bytes": _peak_memory(cohort.device),
        "cohort": len(runs),
    }
    return [_write(cohort, state, row, prepared[row], cost, place) for row, run in enumerate(runs) if run in wanted]


def _gather(runs: Sequence[Run], prepared: Sequence[Prepared], place: Place) -> Cohort:
    training, device = runs[0].protocol, environment.device()
    dtype = environment.precision(training.precision, device)
    task = prepared[0].task
    pooler = heads.uses_pooler(_config(place.model), task.kind, training.head)
    backbone = backbones.load(place.model, pooler, dtype, device)
    data = [Data(p.train, p.evaluation, p.chooser, task.kind, tuple(p.label_names), task.metrics) for p in prepared]
    return gather(runs, data, backbone, backbone.config, device)


def _config(model: str) -> dict[str, Any]:
    """The config's numbers; a hub model that is not in the cache yet is fetched with its weights."""
    try:
        return models.config(model)
    except UserError:
        return backbones.fetch_config(model)


def _train(cohort: Cohort, place: Place, watch: Watch) -> State:
    checkpoints = Checkpoints(place.output, cohort, place.checkpoint_seconds)
    state = checkpoints.resume() or engine.begin(cohort)
    with stopping.deferred():
        for current in engine.train(cohort, state):
            watch(cohort, current)
            if stopping.asked():
                checkpoints.save(current)
                raise stopping.Stopped
            checkpoints.save_if_due(current)
    checkpoints.remove()
    return state


def _write(cohort: Cohort, state: State, row: int, own: Prepared, cost: dict[str, Any], place: Place) -> Path:
    run, history = cohort.runs[row], state.histories[row]
    diverged = history.diverged is not None
    if place.keep_predictions and not diverged:
        predictions.write(records.path(place.output, run), cohort, state, row)
    body = {
        "status": "diverged" if diverged else "completed",
        "parameters": _parameters(cohort, row),
        "training": history.training,
        "evaluations": history.evaluations,
        "cost": cost,
        "environment": environment.describe(cohort.device, cohort.assembly.precision),
        "data": _data(own, cohort.network.fingerprint),
        "error": f"loss or weights not finite at step {history.diverged}" if diverged else None,
    }
    return records.write(place.output, run, body)


def _parameters(cohort: Cohort, row: int) -> dict[str, Any]:
    anatomy, trainable = cohort.network.anatomy, cohort.assembly.counts[row]
    return {
        "total": anatomy.total,
        "trainable": trainable,
        "head": anatomy.head_total,
        "trainable_percent": 100 * trainable / anatomy.total,
    }


def _data(own: Prepared, model: str | None) -> dict[str, Any]:
    return {
        "fingerprint": own.fingerprint,
        "sizes": dict(own.sizes),
        "differences": list(own.differences),
        "model_fingerprint": model,
    }


def _write_failed(run: Run, own: Prepared, error: Exception, place: Place) -> Path:
    device = environment.device()
    body: dict[str, Any] = {
        "status": "failed",
        "parameters": None,
        "training": [],
        "evaluations": [],
        "cost": None,
        "environment": environment.describe(device, environment.precision(run.protocol.precision, device)),
        "data": _data(own, None),
        "error": f"{type(error).__name__}: {error}"[:2000],
    }
    return records.write(place.output, run, body)


def _peak_memory(device: torch.device) -> int | None:
    """The most GPU memory this process has held; not measured on a processor."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
