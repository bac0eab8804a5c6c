"""`peftcli.load_records("results")`: every record as one tidy pandas DataFrame, for notebooks."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from peftcli import records
from peftcli.errors import UserError, first_error
from peftcli.records import Record
from peftcli.report.table import selection

if TYPE_CHECKING:
    from pandas import DataFrame

PARAMETERS = ("total", "trainable", "head", "trainable_percent")
COST = ("seconds", "steps", "tokens", "peak_memory_bytes", "delta_bytes", "cohort")


def load_records(output: str | Path = "results") -> "DataFrame":
    """Read a results folder into one DataFrame: a row for each evaluation of each run, a column for each metric.

    Metrics are fractions. `counts` marks the evaluation that a table reads: the best by the run's chooser where the
    protocol restores the best weights, else the last. A run without any (failed, diverged at once) has one row with
    `split` missing. Options are columns `option.<name>`, settings `protocol.<name>`, costs `cost.<name>` (of the whole
    cohort that `cost.cohort` runs share, `cost.delta_bytes` of the run); `source` says whose an imported run is. Damaged
    files, and records whose run this version cannot read, are left out with a warning, and listed in `.attrs["damaged"]`.
    Raises UserError where the folder does not exist.
    """
    import pandas  # here, so that importing peftcli stays cheap

    folder = Path(output)
    if not folder.is_dir():
        raise UserError(f"no results folder {folder}")
    sound, damaged = records.read_all(folder)
    flat: list[dict[str, Any]] = []
    for record in sound:
        try:
            flat += rows(record)
        except ValidationError as error:  # sound, but of a version that has other settings
            damaged.append((record.path, str(first_error(error, "its run", "setting", ()))))
    if damaged:
        # stacklevel 2: the line that called load_records.
        file, reason = damaged[0]
        warnings.warn(f"{len(damaged)} damaged or foreign files left out, {file} first: {reason}", stacklevel=2)
    frame = pandas.DataFrame(flat)
    frame.attrs["damaged"] = [str(file) for file, _ in damaged]
    return frame


def rows(record: Record) -> Iterator[dict[str, Any]]:
    """Yield a record's evaluations, each as one flat dictionary with all that the record says of its run."""
    body, run = record.body, record.run
    common = {
        **{key: body[key] for key in ("id", "status", "error")},
        **{key: getattr(run, key) for key in ("model", "task", "strategy", "learning_rate", "seed")},
        **{f"option.{name}": _cell(value) for name, value in run.options.items()},
        **{f"protocol.{name}": _cell(value) for name, value in run.protocol.model_dump().items()},
        **{name: (body["parameters"] or {}).get(name) for name in PARAMETERS},
        **{f"cost.{name}": (body["cost"] or {}).get(name) for name in COST},
        "device": (body["environment"] or {}).get("device"),
        "source": body.get("origin", {}).get("source"),
    }
    counted = selection.counted_of(run, body["evaluations"])
    # A run without an evaluation keeps a row, so that no run is missing from the frame.
    unevaluated: list[Mapping[str, Any]] = [{"split": None}]
    for evaluation in body["evaluations"] or unevaluated:
        # By identity: two evaluations can have equal scores. Tables read completed runs alone.
        counts = any(evaluation is chosen for chosen in counted.values())
        yield common | dict(evaluation) | {"counts": counts and body["status"] == "completed"}


def _cell(value: Any) -> Any:
    """Return a list as text, since a column of lists can be neither grouped nor compared."""
    return "+".join(map(str, value)) if isinstance(value, list) else value
