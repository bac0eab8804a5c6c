"""A record's cost, environment and data as columns with dotted names (`cost.seconds`, `data.sizes.train`), and back. No torch."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from peftcli.records.body import Body, Cost, DataRead, Environment

TIMES = ("cost.ended",)  # seconds since 1970 began, which other programs read as a date and time
PARTS: dict[str, type] = {"cost": Cost, "environment": Environment, "data": DataRead}  # key of a record -> its type


@cache
def declared() -> dict[str, tuple[type, int]]:
    """Every key of the three parts, as `cost.seconds` -> what it holds, and below how many mappings.

    What it holds is text, a whole number, a number, a truth value, a time, or a list. `data.sizes` is (int, 1).
    """
    entries = {}
    for part, body in PARTS.items():
        for key, hint in get_type_hints(body).items():
            depth = 0
            while get_origin(hint) is dict:
                hint, depth = get_args(hint)[1], depth + 1
            kind = list if get_origin(hint) is list else next(k for k in (*get_args(hint), hint) if k is not NoneType)
            name = f"{part}.{key}"
            entries[name] = datetime if name in TIMES else kind, depth
    return entries


def kind(column: str) -> type | None:
    """What a column holds; None where it is none of a record's parts, or of a key that this version does not know."""
    path = _path(column)
    return None if path is None else declared()[f"{path[0]}.{path[1]}"][0]


def columns(body: Body) -> dict[str, Any]:
    """Return all that a record says of cost, environment and data by column: a list as JSON, a time in UTC."""
    whole: Mapping[str, Any] = body
    return {name: value for part in PARTS for name, value in _leaves(part, whole[part] or {})}


def part(name: str, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a part of a record from columns, of which those that say nothing (None) are left out; None where all do."""
    built: dict[str, Any] = {}
    for column, value in said.items():
        path = _path(column)
        if path is None or path[0] != name or value is None:
            continue
        inner = built
        for key in path[1:-1]:
            inner = inner.setdefault(key, {})
        if isinstance(value, datetime):
            value = int(value.timestamp())
        inner[path[-1]] = json.loads(value) if kind(column) is list else value
    return built or None


def _leaves(name: str, entry: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            yield from _leaves(f"{name}.{key}", value)
    elif name in TIMES and entry is not None:
        yield name, datetime.fromtimestamp(entry, UTC)
    else:
        yield name, json.dumps(entry) if isinstance(entry, list) else entry


def _path(column: str) -> tuple[str, ...] | None:
    """The keys that lead to a column's value. The last may hold dots, as the name of a package may."""
    name, _, rest = column.partition(".")
    key, dot, inner = rest.partition(".")
    if f"{name}.{key}" not in declared():
        return None
    depth = declared()[f"{name}.{key}"][1]
    keys = tuple(inner.split(".", depth - 1)) if dot and depth else ()
    return (name, key, *keys) if len(keys) == depth and bool(dot) == bool(depth) else None
