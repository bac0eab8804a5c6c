"""Where the spans of a span task stand in its text, and which word pieces they are."""

import re
from collections.abc import Sequence

from peftcli.errors import UserError

TOLERANCE = 3  # words; one row of WSC points at the word before its span
EDGES = ".,;:!?\"'()"

Range = tuple[int, int]  # the first place, and the one behind the last


def characters(text: str, span: str, word: int) -> Range:
    """Find a span's characters: its occurrence nearest to the given word of the text (from 0, parted at white space).

    Case, white space and punctuation around the words do not matter, since the data set's own spans differ from its
    texts in them. Raises UserError where the span is not within `TOLERANCE` words of its place.
    """
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    words = [re.escape(part.strip(EDGES) or part) for part in span.split()]
    pattern = re.compile(r"(?<!\w)" + r"\W*\s+\W*".join(words) + r"(?!\w)", re.IGNORECASE)
    found = [(abs(_word(starts, match.start()) - word), match.span()) for match in pattern.finditer(text) if words]
    distance, place = min(found, default=(TOLERANCE + 1, (0, 0)))
    if distance > TOLERANCE:
        raise UserError(f"span {span[:60]!r} does not stand at word {word} (from 0) of {text[:60]!r}")
    return place


def pieces(offsets: Sequence[Range], place: Range) -> Range | None:
    """Give the word pieces that overlap a span's characters, None where some of it was cut off.

    `offsets` are the characters of each word piece; special ones have (0, 0).
    """
    first, last = place
    inside = [at for at, (start, end) in enumerate(offsets) if start < min(end, last) and end > first]
    if not inside or offsets[inside[-1]][1] < last or offsets[inside[0]][0] > first:
        return None
    return inside[0], inside[-1] + 1


def _word(starts: Sequence[int], place: int) -> int:
    return sum(start <= place for start in starts) - 1
