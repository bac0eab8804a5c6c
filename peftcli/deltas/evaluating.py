"""A saved delta scored on its task as its run was, to the last bit on the same machine."""

import sys
from pathlib import Path
from typing import Any

from peftcli.data.loading import Prepared, prepare
from peftcli.deltas.file import Delta
from peftcli.deltas.restoring import check_tokenizer, restore
from peftcli.engine.device import choose
from peftcli.engine.evaluation import collapsed, measure, score
from peftcli.errors import UserError


def evaluate(
    delta: Delta, model: str, data_dir: Path | None = None, allow_other_data: bool = False, device: str | None = None
) -> list[dict[str, Any]]:
    """Return each split's loss and metrics as a record has them.

    The run stands in copies in the places of those it was trained with, each copy on that run's data: so every batch
    has the shape it had, and on the same machine every bit is the same. `device` is --device. Raises UserError.
    """
    members, run = delta.members, delta.run
    data = [prepare(run.model_copy(update={"seed": seed}), model, data_dir, allow_other_data) for seed in members.seeds]
    _check(delta, model, data[members.row], allow_other_data)
    restored = restore(delta, model, len(members.seeds), choose(device))
    kind, network = restored.task.kind, restored.network
    evaluations = []
    for split, examples in data[members.row].evaluation.items():
        splits = [each.evaluation[split] for each in data]
        # All copies are scored, since the kernels' rounding depends on the batch; the run's own row alone is kept.
        reading, lookups = network.reading, network.lookups
        scored = score(restored.forward(), splits, kind, reading, restored.device, lookups)[members.row]
        entry = {"split": split, "loss": scored.loss}
        entry |= measure(scored, examples, kind, restored.task.metrics, delta.labels)
        evaluations.append(entry | {"collapsed": collapsed(scored, kind)})
    return evaluations


def _check(delta: Delta, model: str, prepared: Prepared, allow_other_data: bool) -> None:
    """Refuse another tokenizer or other data than the run had, which would give another metric than its record's.

    Raises UserError; with `allow_other_data` other data is said on stderr.
    """
    check_tokenizer(delta, model, prepared.tokenizer)
    if prepared.fingerprint != delta.data:
        other = f"task {delta.run.task}: this is not the data of this run: {prepared.fingerprint}, not {delta.data}"
        if not allow_other_data:
            raise UserError(f"{other} (--allow-other-data scores it all the same)")
        print(f"{other}: the metrics are not those of its record", file=sys.stderr)
