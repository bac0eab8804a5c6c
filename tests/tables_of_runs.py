"""Tables of runs in every format that `peftcli import` reads, as pandas and people write them."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMATS = ("csv", "tsv", "jsonl", "parquet")
Rows = Sequence[dict[str, Any]]


def write(file: Path, rows: Rows) -> Path:
    """Write rows in the format of the file's suffix; None is an empty field, null, or an absent key."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), file)
    elif file.suffix == ".jsonl":
        file.write_text("".join(f"{json.dumps({k: v for k, v in row.items() if v is not None})}\n" for row in rows))
    else:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, names, delimiter="\t" if file.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        file.write_text(stream.getvalue())
    return file


def row(seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a row of a run that fits the small recipe of `written_records`; None takes a column out of it."""
    whole = {
        "task": "rte",
        "strategy": "full",
        "learning_rate": 1e-4,
        "seed": seed,
        "validation_accuracy": 0.5 + seed / 100,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}
