"""Records as the rows of one table: a row a run, or a row an evaluation, with all that a record says of its run. No torch."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from peftcli import documents, records
from peftcli.errors import UserError, first_error
from peftcli.experiment.run import Run
from peftcli.records import Record, flat
from peftcli.report.record_columns import COUNTS, MOMENT, OPTION, ORIGIN, SETTING, Column, columns
from peftcli.report.table import selection


@dataclass(frozen=True)
class Table:
    """The columns, how many runs ended how, and the files that are no sound record, with why."""

    columns: tuple[Column, ...]
    runs: Mapping[str, int]
    damaged: tuple[tuple[Path, str], ...]

    @property
    def rows(self) -> int:
        """How many rows each column has."""
        return len(self.columns[0].values)


def read(output: Path, curves: bool) -> Table:
    """Read a results folder: a row a run, with the scores that count, or with `curves` a row an evaluation.

    Runs stand in the order of their files, evaluations in that of their making. Raises UserError where there is no
    folder, and no sound record in it.
    """
    if not output.is_dir():
        raise UserError(f"no results folder {output}")
    sound, damaged = records.read_all(output)
    of_record: Callable[[Record], Iterable[dict[str, Any]]] = _evaluations if curves else _run
    rows: list[dict[str, Any]] = []
    runs: dict[str, int] = {}
    for record in sound:
        try:
            rows += of_record(record)
        except ValidationError as error:  # sound, but of a version that has other settings
            damaged.append((record.path, str(first_error(error, "its run", "setting", ()))))
            continue
        runs[record.status] = runs.get(record.status, 0) + 1
    if not rows:
        more = f": {damaged[0][0]}: {damaged[0][1]}" if damaged else ", which lie in it as TASK/STRATEGY-ID.json"
        raise UserError(f"{output} holds no sound record{more}")
    return Table(tuple(columns(rows, curves)), runs, tuple(damaged))


def _run(record: Record) -> Iterator[dict[str, Any]]:
    """The one row of a run: what counts of it, as `validation_accuracy`; without scores unless the run completed."""
    run = record.run
    evaluations = record.body["evaluations"] if record.status == "completed" else []
    counted = selection.counted_of(run, evaluations)
    # Of what counts all is of one moment; only an imported run's parts may say otherwise, and then the first does.
    moment: Mapping[str, Any] = next(iter(counted.values()), {})
    scores = {f"{split}_{name}": score for split, of in counted.items() for name, score in _scores(of).items()}
    yield {**scores, **_of_run(record, run), **{name: moment.get(name) for name in MOMENT}}


def _evaluations(record: Record) -> Iterator[dict[str, Any]]:
    """A row an evaluation; one alone, without a split, for a run that left none, so that no run is missing."""
    run, body = record.run, record.body
    common = _of_run(record, run)
    losses = {entry["step"]: entry.get("loss") for entry in body["training"]}
    counted = selection.counted_of(run, body["evaluations"])
    unevaluated: list[Mapping[str, Any]] = [{}]
    for evaluation in body["evaluations"] or unevaluated:
        # By identity: two evaluations can have equal scores. Tables read completed runs alone.
        counts = record.status == "completed" and any(evaluation is chosen for chosen in counted.values())
        when = {name: evaluation.get(name) for name in ("split", *MOMENT)}
        # Once for the several splits of a step, so that a mean over rows is one over moments.
        loss = losses.pop(evaluation.get("step", -1), None)
        yield {**_scores(evaluation), **common, **when, "counts": counts, "training_loss": loss}


def _scores(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evaluation.items() if name not in ("split", *MOMENT)}


def _of_run(record: Record, run: Run) -> dict[str, Any]:
    """All that a record says of its run, by column: what it was, what it took, and where its numbers are from."""
    body = record.body
    parameters = body["parameters"] or {}
    origin: Mapping[str, Any] = body.get("origin") or {}
    return {
        "run": body["id"],
        "status": body["status"],
        "error": body["error"],
        **{name: getattr(run, name) for name in ("model", "task", "strategy", "learning_rate", "seed")},
        "label": run.variant,
        **{name: parameters.get(name) for name in COUNTS},
        **{f"{OPTION}{name}": plain(value) for name, value in run.options.items()},
        **{f"{SETTING}{name}": plain(value) for name, value in run.protocol.model_dump().items()},
        **flat.columns(body),
        **{name: origin.get(name) for name in ORIGIN},
    }


def plain(value: Any) -> Any:
    """Return an option's or setting's value as one field: a list as on the command line, `1+2+3`.

    What would be read back as something else than it is (`"2"`, an empty list, a mapping) is written as JSON.
    """
    if isinstance(value, list) and value and all(isinstance(part, str | int | float) for part in value):
        return "+".join(map(str, value))
    if isinstance(value, list | dict) or (isinstance(value, str) and not _reads_as_it_is(value)):
        return json.dumps(value)
    return value


def _reads_as_it_is(text: str) -> bool:
    try:
        return text.lower() != "nan" and bool(documents.parse(text) == text)
    except UserError:
        return False
