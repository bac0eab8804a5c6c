"""What `peftcli predict` does: a delta's predictions on a file, or on a split, in the form the GLUE server takes."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli import files
from peftcli.errors import UserError, unknown
from peftcli.experiment.run import task_of
from peftcli.tasks import registry as tasks

if TYPE_CHECKING:
    from peftcli.deltas.predicting import Prediction

FORMATS = ("tsv", "jsonl")
LOWEST, HIGHEST = 0.0, 5.0  # STS-B's scores


def run(
    file: Path,
    source: Path | None,
    task: str | None,
    split: str | None,
    model: str | None,
    data_dir: Path | None,
    to: Path | None,
    form: str | None,
) -> None:
    """Predict and write. Raises UserError."""
    if (source is None) == (split is None):
        raise UserError("predict takes --input FILE or --split NAME, one of them")
    form = form or ("jsonl" if to is not None and to.suffix in (".jsonl", ".ndjson") else "tsv")
    if form not in FORMATS:
        raise unknown("value of --format", form, FORMATS)
    from peftcli.deltas import file as deltas
    from peftcli.deltas import predicting

    delta = deltas.read(file)
    if task is not None and task != delta.run.task:
        raise UserError(f"this delta is of task {delta.run.task!r}, not {task!r}: its head reads no other")
    own, base = task_of(delta.run), model or delta.model
    if source is not None:
        found = predicting.from_file(delta, base, source)
    else:
        found = predicting.of_split(delta, base, str(split), data_dir)
    text = json_lines(found) if form == "jsonl" else table(own, found)
    if to is None:
        sys.stdout.write(text)
    else:
        files.write(to, text)
        print(f"wrote {len(found)} predictions to {to}", file=sys.stderr)


def table(task: tasks.Task, found: "list[Prediction]") -> str:
    """Write index and prediction a line, as the GLUE server takes them: the task's own numbers or names for labels."""
    return "".join(f"{line}\n" for line in ["index\tprediction", *(f"{p.index}\t{_word(task, p)}" for p in found)])


def json_lines(found: "list[Prediction]") -> str:
    """Write a JSON object a line: index, prediction, and each label's probability where there are labels."""
    lines = []
    for each in found:
        row = {"index": each.index, "prediction": each.value}
        lines.append(json.dumps(row if each.shares is None else row | {"probabilities": each.shares}))
    return "".join(f"{line}\n" for line in lines)


def _word(task: tasks.Task, prediction: "Prediction") -> str:
    value = prediction.value
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, float):
        return f"{min(max(value, LOWEST), HIGHEST) if task.data == tasks.GLUE else value:.6f}"
    return str(task.labels.index(value)) if task.submitted_as == "number" else value
