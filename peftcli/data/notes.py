"""What a user should hear that stops nothing: a line on stderr, once in a process."""

import sys
from functools import cache


@cache  # data are read by several steps of one command, and would be remarked on by each
def say(note: str) -> None:
    """Print a note on stderr, where it was not printed before."""
    print(f"note: {note}", file=sys.stderr)
