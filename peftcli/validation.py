"""Turning pydantic's findings into the program's one-line errors."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from peftcli.errors import UserError, unknown


def first_error(error: ValidationError, where: str, kind: str, legal: Iterable[str]) -> UserError:
    """Word the first finding: the place, the bad value and what is legal. `kind` names a key, `legal` them all."""
    finding = error.errors(include_url=False)[0]
    path = [str(part) for part in finding["loc"]]
    value = finding.get("input")
    place = f"{where}: {'.'.join(path)}" if path else where
    if finding["type"] == "extra_forbidden":
        return UserError(f"{where}: {unknown(kind, path[-1], legal)}")
    if finding["type"] == "missing":
        return UserError(f"{where}: {kind} {path[-1]!r} is missing")
    if finding["type"] == "literal_error":
        choices = str(finding.get("ctx", {}).get("expected", "")).replace(" or ", ", ").replace("'", "").split(", ")
        return UserError(f"{place}: {unknown('value', value, choices)}")
    if finding["type"] in _BOUNDS:
        return UserError(f"{place}: {str(value)[:80]} is out of range: {_range(finding)}")
    message = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not path:
        return UserError(f"{where}: {message}")
    return UserError(f"{place}: {str(value)[:80]!r} {message}")


_BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
}


def _range(finding: Any) -> str:
    key, words = _BOUNDS[finding["type"]]
    bound = finding["ctx"][key]
    nearest = f"the nearest is {bound}; " if key in ("ge", "le") else ""
    return f"{nearest}legal is {words.format(bound)}"
