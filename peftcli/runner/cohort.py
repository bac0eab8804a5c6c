"""Training one cohort from runs to records: load, gather, train, write. What goes wrong in a run is a record too."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from torch import Tensor

from peftcli import records, stopping
from peftcli.data.loading import Prepared, prepare
from peftcli.deltas import file as deltas
from peftcli.engine import backbone, device, parallel, training
from peftcli.engine.cohort import Cohort, Data, gather
from peftcli.engine.state import State
from peftcli.errors import UserError, first_line
from peftcli.experiment.parameters import trained_head
from peftcli.experiment.run import Run
from peftcli.models import catalogue, heads
from peftcli.models.files import fetch_config
from peftcli.records import origin
from peftcli.records.body import Cost, Ending, Evaluation, Parameters, TrainingLoss
from peftcli.runner import costs, environment, predictions
from peftcli.runner.broken import broken
from peftcli.runner.checkpoints import Checkpoints
from peftcli.runner.costs import Meter
from peftcli.runner.snapshots import Snapshot
from peftcli.runner.work import SweepSettings

Watch = Callable[[Cohort, State], None]  # called after every update, to show progress and to track runs


def run_cohort(
    runs: Sequence[Run], wanted: Sequence[Run], settings: SweepSettings, watch: Watch, kept: Snapshot | None = None
) -> list[Path]:
    """Train runs together and write the records of the `wanted` ones among them; `kept` may hold how far they are.

    Raises UserError where data, model, device or disk cannot be had, Stopped on a signal (progress saved). Any other
    error is raised as Broken where several runs train together, and written into a `failed` record where it is one
    alone; in a group of processes, which that error leaves out of step, it is raised as Broken after that.
    """
    meter = Meter(device.choose(settings.device))
    state: State | None = None
    checkpoints: Checkpoints | None = None
    try:
        prepared = load(runs, settings)
        cohort = assemble(runs, prepared, settings)
        _refuse_other_origin(runs, prepared, cohort, settings)
        checkpoints = Checkpoints(
            settings.output,
            cohort,
            settings.checkpoint_seconds,
            [data.fingerprint for data in prepared],
            [data.tokenizer for data in prepared],
            meter,
        )
        state = checkpoints.resume(kept) or training.begin(cohort)
        parallel.wait()  # the first process writes checkpoints: not before all have read the last one
        with stopping.deferred(partial(_rescue, checkpoints, state)):
            _train(cohort, state, checkpoints, watch)
            meter.count(state)
            paths: list[Path] = []
            if not parallel.rank():  # the first process writes the records too
                paths = _write_wanted(wanted, cohort, state, prepared, settings)
                checkpoints.remove()
            parallel.wait()  # none goes on before this cohort is done with: what fails next is not its fault
        return paths
    except UserError:
        raise
    except Exception as error:
        return _failed(error, runs, settings, state, checkpoints, kept)


def _failed(
    error: Exception,
    runs: Sequence[Run],
    settings: SweepSettings,
    state: State | None,
    checkpoints: Checkpoints | None,
    kept: Snapshot | None,
) -> list[Path]:
    """Write the record of a run that failed alone, or raise what the error means: that of its device, or of one of several."""
    if costs.device_failed(error):
        said = first_line(error, sys.maxsize)
        raise UserError(f"the device failed ({said}): run the command again to go on") from error
    if len(runs) == 1:
        failed = _write_failed(runs[0], error, state, settings)
        if parallel.size() == 1:
            return [failed]
    raise broken(error, state, checkpoints, kept) from error


def load(runs: Sequence[Run], settings: SweepSettings) -> list[Prepared]:
    """Read, check and tokenise the data of runs, each as its protocol asks. Raises UserError."""
    return [prepare(run, settings.model, settings.source(run), settings.allow_other_data) for run in runs]


def assemble(runs: Sequence[Run], prepared: Sequence[Prepared], settings: SweepSettings) -> Cohort:
    """Load the model and make runs ready to train together. Raises UserError."""
    # Runs of a cohort are alike in all but learning rate, seed and mask: the first one speaks for them.
    protocol, task, on = runs[0].protocol, prepared[0].task, device.choose(settings.device)
    precision = device.resolve_precision(protocol.precision, on)
    device.prepare(on, precision)
    try:
        config = catalogue.config(settings.model)
    except UserError:
        config = fetch_config(settings.model)  # a hub model that is not in the cache yet
    pooler = heads.uses_pooler(config, task.kind, protocol.head)
    network = backbone.load(settings.model, pooler, device.number_type(precision), on)
    data = [Data(p.train, p.evaluation, p.chooser, task.kind, tuple(p.label_names), task.metrics) for p in prepared]
    return gather(runs, data, network, network.config, on)


def _refuse_other_origin(
    runs: Sequence[Run], prepared: Sequence[Prepared], cohort: Cohort, settings: SweepSettings
) -> None:
    """Refuse a cohort where a record of one of its runs is of another model, tokenizer or data under the same name."""
    # All runs, not only those whose records are wanted: with the others' records they would fill one cell.
    for run, data in zip(runs, prepared, strict=True):
        record = records.find(settings.output, run)
        if record is not None:
            current = {"model": cohort.network.fingerprint, "tokenizer": data.tokenizer, "data": data.fingerprint}
            origin.check(record, current, settings.names(run))


def _train(cohort: Cohort, state: State, checkpoints: Checkpoints, watch: Watch) -> None:
    """Train to the end; raises Stopped once a signal has come and the progress is saved."""
    for current in training.train(cohort, state):
        watch(cohort, current)
        if stopping.asked():
            checkpoints.save(current)
            print(f"stopped at step {current.step}, progress saved: run the command again to go on", file=sys.stderr)
            raise stopping.Stopped
        if not parallel.rank():  # another process's could come after the records, and stay
            checkpoints.save_if_due(current)


def _rescue(checkpoints: Checkpoints, state: State) -> None:
    """Save what the last update left, in the middle of a long step or evaluation; called from another thread."""
    # The lock is held while an update changes weights and moments: a state between the two would be wrong.
    if state.lock.acquire(timeout=1.0) and not state.torn:
        try:
            checkpoints.save(state)
            print(f"stopped after step {state.step}, progress saved: run the command again to go on", file=sys.stderr)
        except UserError as error:
            print(f"stopped, and the progress could not be saved: {error}", file=sys.stderr)


def _cost(cohort: Cohort, state: State, delta_bytes: int | None) -> Cost:
    """What the whole training took, earlier processes included, of the runs that are a cohort in the end."""
    return {
        "seconds": state.seconds,
        "steps": state.step,
        "tokens": state.tokens,
        "computed_tokens": state.slots,
        "peak_memory_bytes": state.peak_memory_bytes,
        "delta_bytes": delta_bytes,
        "cohort": len(cohort.runs),
        "ended": int(time.time()),
    }


def _write_wanted(
    wanted: Sequence[Run], cohort: Cohort, state: State, prepared: Sequence[Prepared], settings: SweepSettings
) -> list[Path]:
    """Write the records of the wanted runs among a cohort's."""
    weights = deltas.weights(cohort, state)
    rows = [row for row, run in enumerate(cohort.runs) if run in wanted]
    return [_write(cohort, state, weights, row, prepared[row], settings) for row in rows]


def _write(
    cohort: Cohort, state: State, weights: dict[str, Tensor], row: int, prepared: Prepared, settings: SweepSettings
) -> Path:
    """Write a run's record, with its predictions and its delta beside it; `row` is its position in the cohort.

    `weights` are the cohort's at the end, by name, each [runs, …].
    """
    run, history = cohort.runs[row], state.histories[row]
    _check_there(settings.output)
    diverged = history.diverged is not None
    moved = None if diverged else deltas.moved(cohort, weights, row)
    # The record comes last: a run that has one has all that belongs to it.
    if settings.keep_predictions and not diverged:
        predictions.write(records.path(settings.output, run), cohort, state, row)
    if settings.save_delta and moved is not None:
        deltas.write(records.path(settings.output, run), cohort, moved, row, prepared.fingerprint, prepared.tokenizer)
    ending: Ending = {
        "status": "diverged" if diverged else "completed",
        "parameters": _parameters(cohort, row),
        "training": cast(list[TrainingLoss], history.training),
        "evaluations": cast(list[Evaluation], history.evaluations),
        "cost": _cost(cohort, state, None if moved is None else deltas.stored_bytes(moved)),
        "environment": environment.describe(
            cohort.device, device.resolve_precision(run.protocol.precision, cohort.device), run.protocol.compile
        ),
        "data": {
            "fingerprint": prepared.fingerprint,
            "sizes": dict(prepared.sizes),
            "differences": list(prepared.differences),
            "left_out": prepared.left_out,
            "model_fingerprint": cohort.network.fingerprint,
            "tokenizer_fingerprint": prepared.tokenizer,
            "unknown": prepared.unknown,
        },
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


def _write_failed(run: Run, error: Exception, state: State | None, settings: SweepSettings) -> Path:
    """Write the record of a run that failed: at a step, or before it had a state to train."""
    _check_there(settings.output)
    on = device.choose(settings.device)
    where = "before training" if state is None else f"at step {state.step}"
    ending: Ending = {
        "status": "failed",
        "parameters": None,
        "training": [],
        "evaluations": [],
        "cost": None,
        "environment": environment.describe(
            on, device.resolve_precision(run.protocol.precision, on), run.protocol.compile
        ),
        "data": None,
        "error": f"{type(error).__name__} {where}: {' '.join(str(error).split())}"[:2000],
    }
    return records.write(settings.output, run, ending)


def _check_there(output: Path) -> None:
    """Refuse to make a results folder anew that was there before: a disk may have been taken away."""
    if not output.is_dir():
        raise UserError(f"results folder {output} has vanished: nothing more was written; run the command again")
