"""Whether recorded runs were made from the model, tokenizer and data that are here now under the same names.

What is compared are fingerprints, kept from the time when the files were last read: as a rule nothing is read here.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from peftcli.data import corpora, loading, tokenizers
from peftcli.errors import UserError
from peftcli.experiment.run import Run, task_of
from peftcli.models import catalogue, fingerprints, heads, hub
from peftcli.models.files import at_hand
from peftcli.records import Record, origin
from peftcli.runner.work import SweepSettings
from peftcli.tasks.registry import Task


def check(recorded: Iterable[tuple[Run, Record]], settings: SweepSettings) -> None:
    """Refuse runs that were recorded with another model, tokenizer or data. Raises UserError.

    What cannot be compared, since it is not on this machine, is said on stderr.
    """
    at_once: dict[tuple[str, ...], str | UserError] = {}  # runs share what they are compared with
    for run, record in recorded:
        current = {}
        for kind in origin.of(record.body):
            name = _shared(kind, run, settings)
            if name is None:
                continue
            if name not in at_once:
                at_once[name] = _fingerprint(kind, run, settings)
            fingerprint = at_once[name]
            if isinstance(fingerprint, str):
                current[kind] = fingerprint
        origin.check(record, current, settings.names(run))
    reasons = dict.fromkeys(str(reason) for reason in at_once.values() if isinstance(reason, UserError))
    if reasons:
        print(f"records not compared with what is here now: {'; '.join(reasons)}", file=sys.stderr)


def _shared(kind: str, run: Run, settings: SweepSettings) -> tuple[str, ...] | None:
    """What all runs with the same model, tokenizer or data have in common; None where there is nothing to compare."""
    task = task_of(run)
    if kind == "model":
        return kind, task.kind, run.protocol.head  # which say whether the model's pooler is read
    if kind == "tokenizer":
        return kind, str(task.kind == "token")
    # The user's own data is in the run itself, by a fingerprint of its files: other data is another run.
    return None if run.data is not None else (kind, run.task)


def _fingerprint(kind: str, run: Run, settings: SweepSettings) -> str | UserError:
    """The fingerprint of what is here now, or why there is none."""
    try:
        if kind == "data":
            return _of_data(task_of(run), corpora.data_folder(settings.data_dir))
        at_hand(settings.model)  # says what is missing
        return (_of_model if kind == "model" else _of_tokenizer)(run, settings.model)
    except UserError as error:
        return error


def _of_model(run: Run, model: str) -> str:
    pooler = heads.uses_pooler(catalogue.config(model), task_of(run).kind, run.protocol.head)
    kept = fingerprints.recall(fingerprints.key_of_model(f"model, pooler {pooler}", model))
    if kept is not None:
        return kept
    import torch

    from peftcli.engine import backbone

    with _without_network():
        # In the precision of its file, since the values alone are looked at.
        precision = backbone.kept_in(model, torch.bfloat16)
        fingerprint = backbone.load(model, pooler, precision, torch.device("cpu")).fingerprint
    backbone.load.cache_clear()  # what trains may be other processes
    return fingerprint


def _of_tokenizer(run: Run, model: str) -> str:
    kind = task_of(run).kind
    kept = fingerprints.recall(tokenizers.key(model, kind))
    if kept is not None:
        return kept
    with _without_network():
        return tokenizers.of_model(model, kind)[1]


def _of_data(task: Task, folder: Path | None) -> str:
    splits = ("train", *task.evaluation)
    corpora.files(task, splits, folder)  # says what is missing
    kept = fingerprints.recall(corpora.key(task, splits, folder))
    if kept is not None:
        return kept
    # Half of a data set is data to be compared as well.
    with _without_network():
        return loading.read(task, folder, allow_other_data=True).fingerprint


@contextlib.contextmanager
def _without_network() -> Iterator[None]:
    hub.reachable.cache_clear()  # asked once per process: what it says now does not hold later
    try:
        with hub.offline():
            yield
    finally:
        hub.reachable.cache_clear()
