"""The columns of a table of records: their order, what each holds, and which every table has. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from peftcli.experiment.settings import Training
from peftcli.records import flat

# What columns hold, besides those of `records.flat` and the settings: text, whole numbers, numbers, truth values.
RUN: dict[str, type] = dict.fromkeys(("run", "status", "error", "model", "task", "strategy", "label"), str)
RUN |= {"learning_rate": float, "seed": int}
MOMENT = {"step": int, "epoch": float}
COUNTS = {"total": int, "trainable": int, "head": int, "trainable_percent": float}
ORIGIN = {"source": str, "repeat": int}  # of an imported run alone
EVALUATION = {"split": str, "counts": bool, "training_loss": float}
SETTING, OPTION = "protocol.", "option."  # as in `peftcli.load_records`
PARTS = tuple(f"{part}." for part in flat.PARTS)
_JSON_TYPES = {"number": float, "integer": int, "boolean": bool}


@dataclass(frozen=True)
class Column:
    """One column: its name, the type of what it holds, and a value each row, None for null.

    The type is str, int, float, bool, or datetime for times in UTC.
    """

    name: str
    kind: type
    values: list[Any]


def columns(rows: list[dict[str, Any]], curves: bool) -> Iterator[Column]:
    """Yield the columns of these rows: those that every table has, and what only some runs have, in one order."""
    for name in _order({name for row in rows for name in row}, curves):
        values = [row.get(name) for row in rows]
        kind = _kind(name) or _common(values)
        yield Column(
            name, kind, [value if value is None or isinstance(value, kind) else kind(value) for value in values]
        )


def _order(names: set[str], curves: bool) -> Iterator[str]:
    """Yield every column's name once: the run, what was measured and when, what it was made with, and what it took."""
    settings = [f"{SETTING}{name}" for name in Training.model_fields]
    options = sorted(name for name in names if name.startswith(OPTION))
    fixed = dict.fromkeys([*RUN, *MOMENT, *EVALUATION, *COUNTS, *ORIGIN, *options, *settings])
    parts = [name for name, (_, depth) in flat.declared().items() if not depth]
    scores = sorted(name for name in names - fixed.keys() if not name.startswith(PARTS))
    yield from [*RUN, *MOMENT, *(["split"] if curves else []), *scores]
    yield from ["training_loss", "counts"] if curves else []
    yield from [*COUNTS, *options, *settings]
    for part in PARTS:
        # The keys that every record may have come first, then those that name a split or a package.
        yield from dict.fromkeys(name for name in [*parts, *sorted(names)] if name.startswith(part))
    yield from ORIGIN


def _kind(name: str) -> type | None:
    """What a column holds; None where that depends on the strategies there are, or on the records' version."""
    if name.startswith(SETTING):
        return _settings().get(name.removeprefix(SETTING))
    if name.startswith(PARTS):
        # A list is a field of JSON.
        return str if flat.kind(name) is list else flat.kind(name)
    if name.startswith(OPTION):
        return None
    # Whatever is neither of the run nor of what it took is of an evaluation: a metric, a loss, or whether it collapsed.
    fixed = {**RUN, **MOMENT, **EVALUATION, **COUNTS, **ORIGIN}
    return fixed.get(name, bool if name.endswith("collapsed") else float)


@cache
def _settings() -> dict[str, type]:
    """What each training setting is, by the model that checks it; several values in one field are text."""
    said = Training.model_json_schema()["properties"]
    kinds = {name: [entry.get("type") for entry in (of, *of.get("anyOf", ()))] for name, of in said.items()}
    return {name: next((_JSON_TYPES[k] for k in of if k in _JSON_TYPES), str) for name, of in kinds.items()}


def _common(values: list[Any]) -> type:
    """The narrowest type that holds all of these: text where they are of several kinds, or where there is none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return float
    return kinds.pop() if len(kinds) == 1 else str
