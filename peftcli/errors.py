"""The one exception for mistakes a user can make, and the one way to word them."""

import difflib
from collections.abc import Iterable

LONGEST = 200  # characters of a bad value that an error shows: a path fits


class UserError(Exception):
    """A mistake the user can mend: its message is one line, printed to stderr with exit code 2."""

    def __init__(self, message: str) -> None:
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
