"""The one exception for mistakes a user can make, and the ways to word them in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST = 200  # characters of a bad value that an error shows: a path fits


class UserError(Exception):
    """A mistake the user can mend: its message is one line, printed to stderr with exit code 2."""

    def __init__(self, message: str) -> None:
        # What is quoted may break lines, and the message is one line whatever it quotes.
        super().__init__(" ".join(str(message).split()))


def unknown(what: str, bad: object, legal: Iterable[object]) -> UserError:
    """Word an error that names the bad value, the nearest legal one and the legal ones.

    `what` is the kind of thing, in the singular: `unknown("strategy", "layrnorm", names)`.
    """
    names = [str(name) for name in legal]
    close = difflib.get_close_matches(str(bad), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = str(bad) if len(str(bad)) <= LONGEST else f"{str(bad)[:LONGEST]}…"
    return UserError(f"unknown {what} {shown!r}: {hint}known: {', '.join(names) or 'none'}")


def first_line(error: BaseException, longest: int = LONGEST) -> str:
    """Return the first line of another library's error, or its type's name where it says nothing."""
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:longest]


def key_value(pair: str, complaint: str) -> tuple[str, str]:
    """Split `key=value` into its halves. Raises UserError with this complaint where there is no `=`, or no key."""
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise UserError(complaint)
    return key, value


def first_error(error: ValidationError, where: str, kind: str, legal: Iterable[str]) -> UserError:
    """Word the first finding: where it is, the bad value and what is legal. `kind` names a key, `legal` them all."""
    finding = error.errors(include_url=False)[0]
    path = [str(part) for part in finding["loc"]]
    value = finding.get("input")
    location = f"{where}: {'.'.join(path)}" if path else where
    if finding["type"] == "extra_forbidden":
        return UserError(f"{where}: {unknown(kind, path[-1], legal)}")
    if finding["type"] == "missing":
        return UserError(f"{where}: {kind} {path[-1]!r} is missing")
    if finding["type"] == "literal_error":
        # pydantic words the choices as "'a', 'b' or 'c'".
        choices = str(finding.get("ctx", {}).get("expected", "")).replace(" or ", ", ").replace("'", "").split(", ")
        return UserError(f"{location}: {unknown('value', value, choices)}")
    if finding["type"] in _BOUNDS:
        return UserError(f"{location}: {str(value)[:80]} is out of range: {_range(finding)}")
    message = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not path:
        return UserError(f"{where}: {message}")
    return UserError(f"{location}: {str(value)[:80]!r} {message}")


# By pydantic's type of finding: under which key of its context the bound is, and the words for what is legal.
_BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
}


def _range(finding: Any) -> str:
    key, words = _BOUNDS[finding["type"]]
    bound = finding["ctx"][key]
    # A bound that is not legal itself has no nearest legal value.
    nearest = f"the nearest is {bound}; " if key in ("ge", "le") else ""
    return f"{nearest}legal is {words.format(bound)}"
