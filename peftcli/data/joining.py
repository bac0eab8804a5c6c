"""Pairs of texts that a template joins to one: tokenised, and their texts shortened until that is not too long."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftcli.experiment.templates import Range, Template

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerFast

Pair = tuple[str, str]


def encode(
    tokenizer: "PreTrainedTokenizerFast", template: Template, pairs: Sequence[Pair], limit: int | None
) -> "BatchEncoding":
    """Tokenise pairs joined by a template, one sequence each of at most `limit` word pieces (None: of any number).

    Of a pair that is too long the texts are shortened before they are joined, the longer one first, as tokenizers shorten
    their own pairs: the template and the special pieces stay whole. What is read is what the tokenizer makes of the
    shortened texts joined. `limit` leaves room for more than the template.
    """
    pairs = list(pairs)
    while True:
        encoding = tokenizer(
            [template.join(*pair) for pair in pairs], truncation=False, return_attention_mask=False, verbose=False
        )
        pieces = [one.offsets for one in encoding.encodings or ()]
        overlong = [] if limit is None else [row for row, offsets in enumerate(pieces) if len(offsets) > limit]
        if limit is None or not overlong:
            return encoding
        # Once is enough, but where pieces join otherwise behind a cut; every round leaves less text.
        for row in overlong:
            pairs[row] = _shortened(template, pairs[row], pieces[row], limit, tokenizer.truncation_side)


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many pieces of two texts to keep, which are more than there is room for: the longer one gives first.

    Where both are longer than half the room, each keeps half, and the longer one what is left over (of equals the second).
    """
    if first > second:
        return longest_first(second, first, room)[::-1]
    kept = min(first, room // 2)
    return kept, room - kept


def _shortened(template: Template, pair: Pair, pieces: Sequence[Range], limit: int, side: str) -> Pair:
    """Cut a pair's texts, by the characters of the pieces of both joined, so that `limit` pieces are left."""
    ranges = template.ranges(*pair)
    # A piece is of the text that it ends in: behind a space of the template, a piece holds that space and a word.
    first, second = ([piece for piece in pieces if start < piece[1] <= end] for start, end in ranges)
    room = limit - (len(pieces) - len(first) - len(second))
    if room <= 0:  # pieces of texts and template in one; the template alone has room
        return "", ""
    kept = longest_first(len(first), len(second), room)
    cut = _cut_left if side == "left" else _cut
    return (
        cut(pair[0], [(a - ranges[0][0], b - ranges[0][0]) for a, b in first], kept[0]),
        cut(pair[1], [(a - ranges[1][0], b - ranges[1][0]) for a, b in second], kept[1]),
    )


def _cut(text: str, pieces: Sequence[Range], kept: int) -> str:
    """Return the beginning of a text that has its first `kept` pieces, whose characters are `pieces`."""
    if kept >= len(pieces):
        return text
    # A character may be several pieces, which cannot be parted: it goes as a whole. A piece may be of no character at all.
    return text[: max(0, min(pieces[kept][0], pieces[kept - 1][1] if kept else 0, len(text) - 1))]


def _cut_left(text: str, pieces: Sequence[Range], kept: int) -> str:
    """Return the end of a text that has its last `kept` pieces."""
    if kept >= len(pieces):
        return text
    before = len(pieces) - kept
    return text[max(pieces[before][0], pieces[before - 1][1]) if kept else len(text) :]
