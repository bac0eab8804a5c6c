"""Walltimes as SLURM writes them. No torch."""

import re

from peftcli.errors import UserError

_FORMS = re.compile(r"(?:(?P<days>\d+)-)?(?P<numbers>\d+(?::\d+){0,2})")


def minutes(text: str) -> int:
    """Read a walltime (`30`, `30:00`, `1:30:00`, `2-12`, `2-12:00`, `2-12:00:00`) as minutes, rounded up. Raises UserError."""
    found = _FORMS.fullmatch(text.strip())
    if found is None:
        raise UserError(f"--time {text!r}: give minutes, HH:MM:SS or D-HH:MM:SS, e.g. 1:30:00")
    numbers = [int(number) for number in found["numbers"].split(":")]
    if found["days"] is not None:
        hours, mins, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, mins, seconds = numbers
    else:
        (mins, seconds), hours = [*numbers, 0][:2], 0
    total = int(found["days"] or 0) * 1440 + hours * 60 + mins + -(-seconds // 60)
    if total < 1:
        raise UserError(f"--time {text!r} is no time at all: give at least a minute")
    return total
