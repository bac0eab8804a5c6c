"""Training one cohort from runs to records: load, gather, train, write. What goes wrong in a run is a record too."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from peftcli import records, stopping
from peftcli.data.loading import Prepared, prepare
from peftcli.deltas import file as deltas
from peftcli.engine import backbone as backbones
from peftcli.engine import parallel, training
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.engine.device import default_device, resolve_precision
from peftcli.engine.training import State
from peftcli.errors import UserError
from peftcli.experiment.parameters import trained_head
from peftcli.experiment.run import Run
from peftcli.models import catalogue, heads
from peftcli.models.files import fetch_config
from peftcli.records.body import Cost, DataRead, Ending, Evaluation, Parameters, TrainingLoss
from peftcli.runner import environment, predictions, tracking
from peftcli.runner.checkpoints import Checkpoints
from peftcli.runner.work import SweepSettings

Watch = Callable[[Cohort, State], None]  # called after every update, to show progress


def run_cohort(runs: Sequence[Run], wanted: Sequence[Run], settings: SweepSettings, watch: Watch) -> list[Path]:
    """Train runs together and write the records of the `wanted` ones among them.

    Raises UserError where data, model, device or disk cannot be had, Stopped on a signal (progress saved). Any other
    error is raised where several runs train together, and written into a `failed` record where it is one alone.
    """
    started = time.perf_counter()
    state: State | None = None
    try:
        prepared = [prepare(run, settings.model, settings.source(run), settings.allow_other_data) for run in runs]
        cohort = ready(runs, prepared, settings)
        _refuse_other(wanted, dict(zip([run.id for run in runs], prepared, strict=True)), cohort, settings)
        checkpoints = _checkpoints(cohort, prepared, settings)
        state = checkpoints.resume() or training.begin(cohort)
        parallel.wait()  # until all have read it
        with stopping.deferred(partial(_rescue, checkpoints, state)):
            with tracking.curves(settings.output, runs, wanted if settings.track else ()) as write:
                _train(cohort, state, checkpoints, watch, write)
            if parallel.rank():  # the first process writes
                return []
            cost = _cost(cohort, state, started)
            rows = [row for row, run in enumerate(runs) if run in wanted]
            paths = [_write(cohort, state, row, prepared[row], cost, settings) for row in rows]
            checkpoints.remove()
        return paths
    except UserError:
        raise
    except torch.AcceleratorError as error:  # a device that failed once does so until the process ends
        raise UserError(f"the device failed ({_first_line(error)}): run the command again to go on") from error
    except Exception as error:
        if len(runs) > 1 and parallel.size() == 1:
            raise
        first = len(runs) == 1 and parallel.rank() == 0
        written = [_write_failed(runs[0], error, None if state is None else state.step, settings)] if first else []
        if parallel.size() > 1:
            raise parallel.Lost(f"{type(error).__name__}: {_first_line(error)}") from error
        return written


def ready(runs: Sequence[Run], prepared: Sequence[Prepared], settings: SweepSettings) -> Cohort:
    """Load the model and make runs ready to train together. Raises UserError."""
    protocol, device = runs[0].protocol, default_device()
    dtype = resolve_precision(protocol.precision, device)
    task = prepared[0].task
    pooler = heads.uses_pooler(_config(settings.model), task.kind, protocol.head)
    backbone = backbones.load(settings.model, pooler, dtype, device)
    data = [Data(p.train, p.evaluation, p.chooser, task.kind, tuple(p.label_names), task.metrics) for p in prepared]
    return gather(runs, data, backbone, backbone.config, device)


def _refuse_other(
    wanted: Sequence[Run], prepared: Mapping[str, Prepared], cohort: Cohort, settings: SweepSettings
) -> None:
    """Refuse to replace a run's record by one of other data or of another model under the same name."""
    for run in wanted:
        record = records.find(settings.output, run)
        earlier = record.body["data"] if record is not None else None
        now = {"fingerprint": prepared[run.id].fingerprint, "model_fingerprint": cohort.network.fingerprint}
        for key in (key for key in now if earlier and earlier.get(key) != now[key]):
            what = "model" if key.startswith("model") else "data"
            raise UserError(f"{record and record.path} was made with another {what} of the same name: move it away")


def _config(model: str) -> dict[str, Any]:
    """The config's numbers; a hub model that is not in the cache yet is fetched with its weights."""
    try:
        return catalogue.config(model)
    except UserError:
        return fetch_config(model)


def _checkpoints(cohort: Cohort, prepared: Sequence[Prepared], settings: SweepSettings) -> Checkpoints:
    return Checkpoints(settings.output, cohort, settings.checkpoint_seconds, [own.fingerprint for own in prepared])


def _train(
    cohort: Cohort, state: State, checkpoints: Checkpoints, watch: Watch, track: Callable[[State], None]
) -> None:
    for current in training.train(cohort, state):
        watch(cohort, current)
        track(current)
        if stopping.asked():
            checkpoints.save(current)
            print(f"stopped at step {current.step}, progress saved: run the command again to go on", file=sys.stderr)
            raise stopping.Stopped
        checkpoints.save_if_due(current)


def _rescue(checkpoints: Checkpoints, state: State) -> None:
    """Save the progress in the middle of a long step or evaluation: what the last update left."""
    if state.lock.acquire(timeout=1.0):
        try:
            checkpoints.save(state)
            print(f"stopped after step {state.step}, progress saved: run the command again to go on", file=sys.stderr)
        except UserError as error:
            print(f"stopped, and the progress could not be saved: {error}", file=sys.stderr)


def _cost(cohort: Cohort, state: State, started: float) -> Cost:
    return {
        "seconds": time.perf_counter() - started,
        "steps": state.step,
        "tokens": state.tokens,
        "computed_tokens": state.slots,
        "peak_memory_bytes": _peak_memory(cohort.device),
        "cohort": len(cohort.runs),
    }


def _write(cohort: Cohort, state: State, row: int, own: Prepared, cost: Cost, settings: SweepSettings) -> Path:
    run, history = cohort.runs[row], state.histories[row]
    _check_there(settings.output)
    diverged = history.diverged is not None
    if settings.keep_predictions and not diverged:
        predictions.write(records.path(settings.output, run), cohort, state, row)
    if settings.save_delta and not diverged:
        deltas.write(records.path(settings.output, run), cohort, state, row, own.fingerprint)
    ending: Ending = {
        "status": "diverged" if diverged else "completed",
        "parameters": _parameters(cohort, row),
        "training": cast(list[TrainingLoss], history.training),
        "evaluations": cast(list[Evaluation], history.evaluations),
        "cost": cost,
        "environment": environment.describe(cohort.device, cohort.assembly.precision),
        "data": _data(own, cohort.network.fingerprint),
        "error": f"loss or weights not finite at step {history.diverged}" if diverged else None,
    }
    return records.write(settings.output, run, ending)


def _parameters(cohort: Cohort, row: int) -> Parameters:
    anatomy, trainable = cohort.network.anatomy, cohort.assembly.counts[row]
    return {
        "total": anatomy.total,
        "trainable": trainable,
        "head": trained_head(anatomy, cohort.assembly.tuning),
        "trainable_percent": 100 * trainable / anatomy.total,
    }


def _data(own: Prepared, model: str | None) -> DataRead:
    return {
        "fingerprint": own.fingerprint,
        "sizes": dict(own.sizes),
        "differences": list(own.differences),
        "left_out": own.left_out,
        "model_fingerprint": model,
    }


def _write_failed(run: Run, error: Exception, step: int | None, settings: SweepSettings) -> Path:
    _check_there(settings.output)
    device = default_device()
    where = "before training" if step is None else f"at step {step}"
    ending: Ending = {
        "status": "failed",
        "parameters": None,
        "training": [],
        "evaluations": [],
        "cost": None,
        "environment": environment.describe(device, resolve_precision(run.protocol.precision, device)),
        "data": None,
        "error": f"{type(error).__name__} {where}: {' '.join(str(error).split())}"[:2000],
    }
    return records.write(settings.output, run, ending)


def _check_there(output: Path) -> None:
    """Refuse to make a results folder anew that was there before: a disk may have been taken away."""
    if not output.is_dir():
        raise UserError(f"results folder {output} has vanished: nothing more was written; run the command again")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _peak_memory(device: torch.device) -> int | None:
    """The most GPU memory this process has held; not measured on a processor."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
