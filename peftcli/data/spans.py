"""Where the spans of a span task are in its text, and which word pieces they are."""

import bisect
import re
from collections.abc import Sequence

import numpy as np

from peftcli.data.examples import Array
from peftcli.data.rows import Rows
from peftcli.errors import UserError
from peftcli.tasks.registry import SPAN_STARTS

TOLERANCE = 3  # words; one row of WSC points at the word before its span
# Punctuation that may surround a word in the text or in the span, and be missing in the other.
EDGES = ".,;:!?\"'()"

Range = tuple[int, int]  # half-open: the first position, and the one behind the last


def locate(
    rows: Rows,
    offsets: Sequence[Sequence[Range]],
    cut_offsets: Sequence[Sequence[Range]],
    kept: Array,
    max_length: int,
) -> Array:
    """Return the word pieces of both spans of the kept examples, [examples, 2, 2] as in `Examples.spans`.

    `offsets` [examples][word pieces] are the characters of each word piece, `cut_offsets` those of the pieces that were
    cut off to leave `max_length`. Raises UserError where a span was cut, is not in its text, or has no word piece.
    """
    texts, *_ = rows.columns.values()
    text_columns = [name.replace("_index", "_text") for name in SPAN_STARTS]
    located = np.zeros((len(rows), 2, 2), np.int64)  # examples that are not kept stay 0
    for row in kept.tolist():
        for which, (column, start) in enumerate(zip(text_columns, SPAN_STARTS, strict=True)):
            span = rows.columns[column][row]
            try:
                of_text = characters(texts[row], span, rows.columns[start][row])
            except UserError as error:
                raise UserError(f"row {row} (from 0): {error}") from None
            if pieces(cut_offsets[row], of_text) is not None:
                raise UserError(
                    f"max_length {max_length} cuts span {span!r} of example {rows.numbers[row]}: "
                    "give more, or overlong: drop"
                )
            range_of_pieces = pieces(offsets[row], of_text)
            if range_of_pieces is None:
                raise UserError(f"row {row} (from 0): the tokenizer leaves no word piece of span {span!r}")
            located[row, which] = range_of_pieces
    return located


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
    """Return the word pieces that overlap the characters of a span, None where none does.

    `offsets` are the characters of each word piece; special ones have (0, 0), which overlaps nothing.
    """
    first, end_of_span = span
    inside = [piece for piece, (start, end) in enumerate(offsets) if start < min(end, end_of_span) and end > first]
    return (inside[0], inside[-1] + 1) if inside else None
