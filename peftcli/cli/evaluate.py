"""What `peftcli evaluate` does: a delta on its base, scored as its run was, to the last bit on the same machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError

if TYPE_CHECKING:
    from peftcli.deltas.file import Delta


def show(
    file: Path, task: str | None, model: str | None, data_dir: Path | None, allow_other_data: bool, as_json: bool
) -> str:
    """Evaluate a delta on its task's splits; as text or JSON. Raises UserError."""
    from peftcli.deltas import file as deltas

    delta = deltas.read(file)
    if task is not None and task != delta.run.task:
        raise UserError(f"this delta is of task {delta.run.task!r}, not {task!r}: its head reads no other")
    found = evaluate(delta, model or delta.model, data_dir, allow_other_data)
    if as_json:
        return json.dumps({"run": delta.run.model_dump(), "evaluations": found}, indent=1)
    lines = [delta.run.describe()]
    for entry in found:
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in entry.items() if isinstance(value, float))
        lines.append(f"  {entry['split']:<12} {numbers}")
    return "\n".join(lines)


def evaluate(
    delta: "Delta", model: str, data_dir: Path | None = None, allow_other_data: bool = False
) -> list[dict[str, Any]]:
    """Give each split's loss and metrics as a record has them.

    The run stands in copies in the places of those it was trained with, each copy on that run's data: so every batch
    has the shape it had, and on the same machine every bit is the same. Raises UserError.
    """
    from peftcli.data.loading import prepare
    from peftcli.deltas.restoring import restore
    from peftcli.engine.evaluation import collapsed, measure, score

    company, run = delta.company, delta.run
    data = [prepare(run.model_copy(update={"seed": seed}), model, data_dir, allow_other_data) for seed in company.seeds]
    own = data[company.row]
    restored = restore(delta, model, len(company.seeds))
    kind, first = restored.task.kind, restored.network.first_position
    found = []
    for split, examples in own.evaluation.items():
        splits = [each.evaluation[split] for each in data]
        scored = score(restored.forward(), splits, kind, first, restored.device)[company.row]
        entry = {"split": split, "loss": scored.loss}
        entry |= measure(scored, examples, kind, restored.task.metrics, delta.labels)
        found.append(entry | {"collapsed": collapsed(scored, kind)})
    return found
