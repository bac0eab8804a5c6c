"""Durations in words, for each reader as finely as the number deserves; and days."""

import math
from datetime import UTC, datetime

# Steps of a scale: below so many seconds, in a unit of so many, in these words. Longer than all is what the last step words.
Scale = tuple[tuple[float, float, str], ...]
MINUTE, HOUR, DAY = 60, 3600, 86400  # in seconds

# Timed, and read in columns.
MEASURED: Scale = (
    (2 * MINUTE, 1, "{:.1f} s"),
    (2 * HOUR, MINUTE, "{:.1f} min"),
    (math.inf, HOUR, "{:.1f} h"),
)
# A guess of what is left, no finer than the guess is.
GUESSED: Scale = (
    (90, 1, "about {:.0f} s"),
    (90 * MINUTE, MINUTE, "about {:.0f} min"),
    (2 * DAY, HOUR, "about {:.1f} h"),
    (math.inf, DAY, "about {:.1f} days"),
)
# In a sentence: what a report's runs took.
SPELLED: Scale = (
    (MINUTE, 1, "{:.0f} seconds"),
    (HOUR, MINUTE, "{:.1f} minutes"),
    (math.inf, HOUR, "{:,.1f} hours"),
)


def in_words(seconds: float, scale: Scale) -> str:
    """Word a duration in the unit that suits it, e.g. `1.5 min`, `about 2 min`, `1.5 minutes`."""
    unit, words = next(((unit, words) for limit, unit, words in scale if seconds < limit), scale[-1][1:])
    return words.format(seconds / unit)


def day(second: int) -> str:
    """Name the day of a second, counted since 1970 began, as the world's clock has it (UTC): 2026-11-27."""
    # Of one time zone, so that the same record has the same day on every machine.
    return datetime.fromtimestamp(second, UTC).date().isoformat()
