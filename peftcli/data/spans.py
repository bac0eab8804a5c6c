"""Where the spans of a span task are in its text, and which word pieces they are."""

import bisect
import re
from collections.abc import Sequence

from peftcli.errors import UserError

TOLERANCE = 3  # words; one row of WSC points at the word before its span
EDGES = (
    ".,;:!?\"'()"  # punctuation that may surround a span's words in one of span and text, and be missing in the other
)

Range = tuple[int, int]  # half-open: the first position, and the one behind the last


def characters(text: str, span: str, word: int) -> Range:
    """Return the characters of a span's occurrence nearest to word number `word` (from 0, split at white space).

    Case, white space and punctuation around the words are ignored, since the data set's spans differ from its texts in
    them. Raises UserError where the span does not occur within `TOLERANCE` words.
    """
    starts = [match.start() for match in re.finditer(r"\S+", text)]  # the first character of each word
    words = [re.escape(part.strip(EDGES) or part) for part in span.split()]
    # No letter before or behind it: "he" is not a part of "the". \W* lets punctuation stand between two words.
    pattern = re.compile(r"(?<!\w)" + r"\W*\s+\W*".join(words) + r"(?!\w)", re.IGNORECASE)
    occurrences = [
        # the word that the occurrence begins in is the last one to start at or before it
        (abs(bisect.bisect_right(starts, match.start()) - 1 - word), match.span())
        for match in pattern.finditer(text)
        if words
    ]
    distance, nearest = min(occurrences, default=(TOLERANCE + 1, (0, 0)))
    if distance > TOLERANCE:
        raise UserError(f"span {span[:60]!r} does not stand at word {word} (from 0) of {text[:60]!r}")
    return nearest


def pieces(offsets: Sequence[Range], span: Range) -> Range | None:
    """Return the word pieces that overlap the characters of a span, None where some of it was cut off.

    `offsets` are the characters of each word piece; special ones have (0, 0), which overlaps nothing.
    """
    first, end_of_span = span
    inside = [piece for piece, (start, end) in enumerate(offsets) if start < min(end, end_of_span) and end > first]
    if not inside or offsets[inside[-1]][1] < end_of_span or offsets[inside[0]][0] > first:
        return None
    return inside[0], inside[-1] + 1
