"""The commands that use a saved delta: `peftcli apply`, `evaluate` and `predict`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peftcli.cli import completion
from peftcli.cli.options import PATH, AsJson, Base, DataDir, DeltaFile, DeltaTask, Device, parse_path
from peftcli.errors import UserError, unknown

if TYPE_CHECKING:
    from peftcli.deltas.file import Delta
    from peftcli.deltas.predicting import Prediction
    from peftcli.tasks.registry import Task

FOLDERS = ("transformers", "peft")  # what `apply` writes
TEXTS = ("tsv", "jsonl")  # what `predict` writes
LOWEST, HIGHEST = 0.0, 5.0  # STS-B's scores
UNREAD = "_"  # in a table: a word without a prediction


def apply(
    delta: DeltaFile,
    out: Annotated[
        Path, typer.Option(metavar="DIR", parser=parse_path, help="The folder to write; it must not hold anything.")
    ],
    model: Base = None,
    form: Annotated[
        str, typer.Option("--format", help="transformers, or for lora peft.", autocompletion=completion.of(*FOLDERS))
    ] = "transformers",
    license: Annotated[
        str | None, typer.Option(help="Its licence, as the hub has them: apache-2.0.  [unknown]")
    ] = None,
) -> None:
    """Write a saved delta on its base as a model, with a model card.

    The model is for transformers; a lora may be an adapter of the peft package instead. The card says what the records
    beside the delta say.
    """
    if form not in FOLDERS:
        raise unknown("value of --format", form, FOLDERS)
    _check_license(license)
    # Imported from here on, since it takes torch: a mistake in the options is told at once.
    from peftcli.deltas import export, exported, file, recorded

    saved = file.read(delta)
    at_hand = recorded.beside(delta, saved)
    export.write(saved, model or saved.model, out, form, at_hand, license or exported.UNKNOWN_LICENSE)
    if at_hand.why_not:
        print(f"the model card has no metrics: {at_hand.why_not}", file=sys.stderr)
    print(f"wrote {out}: {saved.run.describe()}", file=sys.stderr)


def evaluate(
    delta: DeltaFile,
    task: DeltaTask = None,
    model: Base = None,
    data_dir: DataDir = None,
    allow_other_data: Annotated[bool, typer.Option(help="Accept a data set whose sizes differ.")] = False,
    as_json: AsJson = False,
    device: Device = None,
) -> None:
    """Score a saved delta on its task, exactly as its record has it.

    For a task on data of your own, --data-dir is the file or folder of that data.
    """
    from peftcli.deltas import evaluating, file

    saved = file.read(delta)
    _check_task(saved, task)
    evaluations = evaluating.evaluate(saved, model or saved.model, data_dir, allow_other_data, device)
    if as_json:
        print(json.dumps({"run": saved.run.model_dump(), "evaluations": evaluations}, indent=1))
        return
    print(saved.run.describe())
    for entry in evaluations:
        # Loss and metrics are floats; the split's name and whether every answer is the same are not.
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in entry.items() if isinstance(value, float))
        print(f"  {entry['split']:<12} {numbers}")


def predict(
    delta: DeltaFile,
    source: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", parser=parse_path, help="CSV, TSV, JSON lines or parquet.")
    ] = None,
    task: DeltaTask = None,
    split: Annotated[str | None, typer.Option(help="Instead of a file: a split of the task, e.g. test.")] = None,
    model: Base = None,
    data_dir: DataDir = None,
    to: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.", **PATH)] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="tsv or jsonl.  [by --to's suffix, else tsv]", autocompletion=completion.of(*TEXTS)
        ),
    ] = None,
    device: Device = None,
) -> None:
    """Write a saved delta's predictions on a file or a split.

    Those on a split are as the GLUE server takes them.
    """
    if (source is None) == (split is None):
        raise UserError("predict takes --input FILE or --split NAME, one of them")
    # The suffix says what the reader expects, unless --format says otherwise.
    form = form or ("jsonl" if to is not None and to.suffix in (".jsonl", ".ndjson") else "tsv")
    if form not in TEXTS:
        raise unknown("value of --format", form, TEXTS)
    from peftcli import files
    from peftcli.deltas import file, predicting
    from peftcli.experiment.run import task_of

    saved = file.read(delta)
    _check_task(saved, task)
    if form == "tsv":
        _check_table(saved)
    base = model or saved.model
    if source is not None:
        predictions = predicting.from_file(saved, base, source, device)
    else:
        predictions = predicting.of_split(saved, base, str(split), data_dir, device)
    text = json_lines(predictions) if form == "jsonl" else table(task_of(saved.run), predictions)
    if to is None:
        sys.stdout.write(text)
    else:
        files.write(to, text)
        print(f"wrote {len(predictions)} predictions to {to}", file=sys.stderr)


def table(task: Task, predictions: Sequence[Prediction]) -> str:
    """Write index and prediction a line, as the GLUE server takes them: the task's own numbers or names for labels.

    In token tasks the labels of an example's words stand in one field, parted by spaces, as many as there are words:
    `UNREAD` where there is none.
    """
    from peftcli.tasks import registry

    lines = ["index\tprediction"]
    for prediction in predictions:
        value = prediction.value
        if isinstance(value, list):
            word = " ".join(UNREAD if label is None else label for label in value)
        elif isinstance(value, float):
            # The server refuses a score outside STS-B's range, where a regression may well end.
            word = f"{min(max(value, LOWEST), HIGHEST) if task.data == registry.GLUE else value:.6f}"
        else:
            # The data set's own order of labels is the one whose numbers the server knows.
            word = str(task.labels.index(value)) if task.submitted_as == "number" else value
        lines.append(f"{prediction.index}\t{word}")
    return "".join(f"{line}\n" for line in lines)


def json_lines(predictions: Sequence[Prediction]) -> str:
    """Write a JSON object a line: index, prediction, and each label's probability where there are labels.

    In token tasks `prediction` has an entry for each of the `words` beside it, null where there is none.
    """
    lines = []
    for prediction in predictions:
        row: dict[str, Any] = {"index": prediction.index, "prediction": prediction.value}
        if prediction.words is not None:
            row["words"] = prediction.words
        if prediction.probabilities is not None:
            row["probabilities"] = prediction.probabilities
        lines.append(json.dumps(row))
    return "".join(f"{line}\n" for line in lines)


def _check_license(license: str | None) -> None:
    """Refuse what cannot be a name of a licence on the hub. Raises UserError with what may have been meant."""
    if license is None or re.fullmatch(r"[a-z0-9][a-z0-9.-]*", license):
        return
    nearest = re.sub(r"[^a-z0-9.]+", "-", license.lower()).strip("-.")
    hint = f": did you mean {nearest!r}?" if nearest else ", such as apache-2.0, mit or other"
    raise UserError(f"--license {license[:80]!r} is no name of a licence as the hub has them{hint}")


def _check_table(delta: Delta) -> None:
    """Refuse a token task whose labels a table's field could not tell apart. Raises UserError."""
    from peftcli.experiment.run import task_of

    if task_of(delta.run).kind == "token":
        for label in delta.labels:
            if label == UNREAD or label.split() != [label]:
                raise UserError(f"a table parts a sentence's labels by spaces, and one is {label!r}: --format jsonl")


def _check_task(delta: Delta, task: str | None) -> None:
    if task is not None and task != delta.run.task:
        raise UserError(f"this delta is of task {delta.run.task!r}, not {task!r}: its head reads no other")
