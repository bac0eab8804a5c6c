"""Which runs train together: on a processor a fixed number of them, on a GPU as many of a kind as its memory holds.

The memory is counted by a dry run of a training step (`engine/dry_run.py`), and what follows from it is pinned with the sweep.
"""

import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from peftcli import files
from peftcli.experiment import cohort_size, parameters, plan
from peftcli.experiment.cohort_size import Footprint, Pin
from peftcli.experiment.run import Run, canonical
from peftcli.models import catalogue, weights
from peftcli.models.files import fetch_config
from peftcli.runner.work import SweepSettings, WorkUnit

if TYPE_CHECKING:
    from peftcli.data.loading import Prepared

USUAL = tuple(gigabytes * 10**9 for gigabytes in (16, 24, 40, 80))  # the memory that GPUs come with
TOGETHER = (2, 3)  # runs of the two dry runs: what one more run takes is their difference


def cohorts(
    runs: Sequence[Run], settings: SweepSettings, asked: int | None, wanted: Collection[str] | None = None
) -> list[tuple[Run, ...]]:
    """Group a recipe's runs: at most `asked` together, else as pinned for them, else as is decided and pinned now.

    On a GPU sizes are decided for the kinds of the `wanted` runs alone (by id; None: of all): another's data may not be there.
    """
    trained = runs if wanted is None else [run for run in runs if run.id in wanted]
    decided = decide(runs, settings, asked, trained)
    if asked is None:
        cohort_size.pin(settings.output, cohort_size.sweep_id(runs), decided)
    return cut(runs, settings, decided)


def decide(
    runs: Sequence[Run], settings: SweepSettings, asked: int | None, trained: Sequence[Run] | None = None
) -> Pin:
    """What a recipe's runs are cut by, nothing pinned; `trained` are those that sizes are needed for. Raises UserError."""
    fetch_config(settings.model)  # a hub model's, where it is not in the cache: sizes are counted from its numbers
    gpu = on_gpu(settings)
    decided = cohort_size.choose(settings.output, runs, asked, gpu)
    return _with_sizes(decided, runs if trained is None else trained, settings) if gpu and asked is None else decided


def cut(runs: Sequence[Run], settings: SweepSettings, decided: Pin) -> list[tuple[Run, ...]]:
    """Group runs as is decided; on a processor no more together than the memory of their trained values allows."""
    gpu = on_gpu(settings)

    def size(run: Run) -> int:
        together = decided.together(run)
        return together if gpu else cohort_size.limit(together, parameters.run_columns(settings.model, run))

    return [cohort for group in plan.alike(runs) for cohort in plan.cut(group, size(group[0]))]


def settle(unit: WorkUnit, settings: SweepSettings) -> WorkUnit:
    """A unit with its cohorts as they are to be trained now: no larger than what is pinned by this time.

    A login node that does not know the GPUs' memory leaves cohorts as large as any may be: the first job pins what fits.
    """
    pinned = None if unit.sweep is None else cohort_size.pinned(settings.output, unit.sweep)
    if unit.sweep is None or pinned is None:
        return unit
    decided = _with_sizes(pinned, unit.runs, settings) if on_gpu(settings) else pinned
    if decided != pinned:
        cohort_size.pin(settings.output, unit.sweep, decided)
    parts = [part for cohort in unit.cohorts for part in plan.cut(cohort, decided.together(cohort[0]))]
    return unit.part(tuple(parts))


def on_gpu(settings: SweepSettings) -> bool:
    """Whether runs train on a GPU. Raises UserError for a device that cannot be used."""
    # Asked for by name it need not be here: a cluster's login node plans for jobs that have one.
    if settings.device is not None:
        return settings.device == "cuda"
    if settings.gpu_memory is not None:
        return True
    # Imports torch, which only a sweep with something left to train is to wait for.
    from peftcli.engine import device

    return device.choose().type == "cuda"


def gpu_memory(settings: SweepSettings) -> int | None:
    """The whole memory of the GPUs that train, in bytes, whoever uses it now; None where that is not known here."""
    if settings.gpu_memory is not None:
        return settings.gpu_memory
    import torch

    return torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else None


def footprints(runs: Iterable[Run], settings: SweepSettings) -> dict[str, tuple[Run, Footprint]]:
    """By kind of run the first run of it, and what it takes of a GPU. Raises UserError where config or data cannot be had."""
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(cohort_size.kind(run), run)
    return {kind: (run, footprint(run, settings)) for kind, run in first.items()}


def outlook(runs: Sequence[Run], settings: SweepSettings) -> list[dict[str, Any]]:
    """By kind of run what it takes of a GPU, and how many train together on GPUs of the usual sizes and on those at hand.

    `together` has the largest number for each memory in bytes. Raises UserError.
    """
    here = gpu_memory(settings)
    memories = sorted({*USUAL, *([] if here is None else [here])})
    return [
        {
            "name": run.describe().rpartition(" lr=")[0],
            **asdict(counted),
            "together": {memory: counted.fitting(memory) for memory in memories},
        }
        for run, counted in footprints(runs, settings).values()
    ]


def footprint(run: Run, settings: SweepSettings) -> Footprint:
    """What runs like this one take of a GPU's memory. Raises UserError where the model's config or the data cannot be had."""
    from peftcli.data.loading import prepare

    config = catalogue.config(settings.model)
    prepared = prepare(run, settings.model, settings.source(run), settings.allow_other_data)
    precision = _precision(run.protocol.precision)
    kept = _kept(settings.model, precision)
    # All that it depends on. The longest sequences are the batch that is counted.
    longest = [int(length) for length in np.sort(prepared.train.lengths)[-run.protocol.batch_size :]]
    depends = canonical([cohort_size.memory_key(run), config, precision, longest, *([kept] if kept else [])])
    file = settings.output / ".sweeps" / "footprints" / f"{hashlib.sha256(depends).hexdigest()[:16]}.json"
    if file.is_file():
        return Footprint(**json.loads(files.read_text(file, "footprint")))
    counted = _count(run, prepared, config, precision, kept)
    files.write(file, json.dumps(asdict(counted)) + "\n")
    return counted


def _with_sizes(decided: Pin, runs: Sequence[Run], settings: SweepSettings) -> Pin:
    """The same with the GPU's memory and a size for every kind of these runs, where the memory is known."""
    memory = decided.memory or gpu_memory(settings)
    if memory is None:
        return decided
    undecided = [run for run in runs if cohort_size.kind(run) not in decided.sizes]
    sizes = {kind: counted.fitting(memory) for kind, (_, counted) in footprints(undecided, settings).items()}
    return replace(decided, memory=memory, sizes={**decided.sizes, **sizes})


def _kept(model: str, precision: str) -> str | None:
    """The precision that a model's weights are kept in where that is less than float32, as its files say; else None."""
    from peftcli.engine import backbone
    from peftcli.engine.device import number_type

    folder = weights.folder(model)
    # Its config alone is enough to count by: the files may be on the machine that trains.
    if folder is None or not weights.are_in(folder):
        return None
    kept = str(backbone.kept_in(model, number_type(precision))).removeprefix("torch.")
    return kept if kept == "bfloat16" else None


def _count(run: Run, prepared: "Prepared", config: Mapping[str, Any], precision: str, kept: str | None) -> Footprint:
    from peftcli.engine import dry_run
    from peftcli.engine.cohort import Data
    from peftcli.engine.device import number_type

    print(f"counting the memory of {run.describe().rpartition(' lr=')[0]}", file=sys.stderr, flush=True)
    task = prepared.task
    data = Data(prepared.train, {}, prepared.chooser, task.kind, tuple(prepared.label_names), task.metrics)
    two, three = (
        dry_run.peaks(
            [run.model_copy(update={"seed": seed}) for seed in range(n)],
            data,
            dict(config),
            number_type(precision),
            number_type(kept) if kept else None,
        )
        for n in TOGETHER
    )
    each = max(0, three.training - two.training)
    # An evaluation takes as many tokens at once whatever the runs; where little is trained, it takes more than training does.
    return Footprint(shared=max(0, max(two.training, two.evaluation) - 2 * each), each=each)


def _precision(asked: str) -> str:
    """The precision a run computes in on this process's GPU; where it has none, on one such as clusters have today."""
    import torch

    from peftcli.engine import device

    if not torch.cuda.is_available():
        return "bfloat16" if asked == "auto" else asked
    return device.resolve_precision(asked, torch.device("cuda", torch.cuda.current_device()))
