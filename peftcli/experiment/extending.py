"""What a recipe `extends`: the files that it starts from, each from the next, and all of them laid over each other. No torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peftcli import documents
from peftcli.errors import UserError

MOST_EXTENDED = 8  # recipes in a row, each starting from the next


def read(path: Path) -> dict[str, Any]:
    """Read a recipe with what it extends below it; mappings are merged, everything else is replaced. Raises UserError."""
    merged: dict[str, Any] = {}
    for file in reversed(list(chain(path))):
        merged = _merge(merged, documents.load(file, "recipe"))
    merged.pop("extends", None)
    return merged


def chain(path: Path) -> Iterator[Path]:
    """Yield a recipe's file, the one that it extends, the one that this one extends, and so on. Raises UserError."""
    seen: list[Path] = []
    while True:
        yield path
        base = documents.load(path, "recipe").get("extends")
        if base is None:
            return
        target = path.parent / str(base)
        if target.resolve() in seen or len(seen) > MOST_EXTENDED:
            raise UserError(f"recipe {path.name}: extends {base!r} goes round in a circle")
        seen.append(path.resolve())
        path = target


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key at every depth; a list or a value replaces what lies below it."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged
