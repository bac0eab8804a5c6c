"""Tokenising a split with the model's fast tokenizer, to sequences laid end to end without padding."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from peftcli.data import joining, spans, word_pieces
from peftcli.data.examples import Array, Examples
from peftcli.data.phrasing import Phrasing
from peftcli.data.rows import Rows
from peftcli.errors import UserError, unknown
from peftcli.tasks.registry import Kind

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerFast

BATCH = 2048  # sequences tokenised at once, which takes a tenth of a second
QUESTIONS = {"cause": "What was the CAUSE of this?", "effect": "What happened as a RESULT?"}


@dataclass(frozen=True)
class Encoded:
    """A tokenised split, and what it went without."""

    examples: Examples
    dropped: int  # overlong examples
    cut_words: int  # token tasks: labelled words that truncation cut off
    words_without_pieces: int  # token tasks: labelled words of which the tokenizer leaves no piece

    @property
    def left_out(self) -> dict[str, int]:
        """Counts of what was left out, by reason, without those that are 0."""
        counts = {
            "examples": self.dropped,
            "words": self.cut_words,
            "words_without_pieces": self.words_without_pieces,
        }
        return {what: count for what, count in counts.items() if count}


@dataclass(frozen=True)
class _Sequences:
    """Word pieces end to end, and for each what they were made from, where the kind of task needs it."""

    ids: Array  # [word pieces], as in `Examples`
    types: Array  # [word pieces]
    starts: Array  # [sequences + 1]
    offsets: list[list[spans.Range]]  # span tasks: [sequences][word pieces], the characters of the text
    cut_offsets: list[list[spans.Range]]  # the same of the pieces that truncation took off
    words: list[word_pieces.Pieces]  # token tasks: [sequences][word pieces]
    cut_words: list[list[word_pieces.Pieces]]  # the same of the pieces that truncation took off, in stretches


def encode(tokenizer: "PreTrainedTokenizerFast", kind: Kind, rows: Rows, phrasing: Phrasing) -> Encoded:
    """Tokenise a split as its model reads it.

    Special pieces are those that the tokenizer adds, which may be none. Pairs lose word pieces from the end of the longer
    text until they fit. In choice tasks an example is two sequences, the premise with its question beside either choice.
    In token tasks a word's label belongs to its first or last word piece, and words that are cut off, or that the
    tokenizer leaves nothing of, are not labelled. With `drop`, examples with an overlong sequence are left out instead.
    Raises UserError where no text fits beside the special pieces and the template, where a sequence is longer than the
    model takes or has no piece at all, where truncation would cut a span, where a span is not in its text or has no piece,
    and where no example is left.
    """
    first, second = _texts(kind, rows)
    max_length = phrasing.max_length
    _check_room(tokenizer, second is not None, phrasing)
    sequences = _sequences(tokenizer, kind, first, second, phrasing)
    group = len(first) // len(rows)
    _refuse_empty(sequences, group)
    examples = Examples(sequences.ids, sequences.types, sequences.starts, rows.labels, rows.numbers, group)
    labelled = None
    if kind == "token":
        labelled = word_pieces.label(examples, sequences.words, sequences.cut_words, rows, phrasing.word)
        examples = labelled.examples
    if phrasing.overlong == "drop":
        # An example goes if any of its sequences is overlong.
        kept = np.flatnonzero(examples.lengths.reshape(-1, group).max(1) <= max_length)
        if not len(kept):
            raise UserError(f"max_length {max_length} with overlong: drop leaves no example")
    else:
        kept = np.arange(len(rows))
    longest, limit = int(examples.lengths.reshape(-1, group)[kept].max()), tokenizer.model_max_length
    if longest > limit:
        raise UserError(
            f"a sequence has {longest} word pieces, and the model takes {limit}: max_length {limit} or less"
        )
    if kind == "span":
        examples = replace(
            examples, spans=spans.locate(rows, sequences.offsets, sequences.cut_offsets, kept, max_length)
        )
    lost = (0, 0) if labelled is None else (int(labelled.cut[kept].sum()), int(labelled.without_pieces[kept].sum()))
    whole = len(kept) == len(rows)
    return Encoded(examples if whole else examples.take(kept), len(rows) - len(kept), *lost)


def _check_room(tokenizer: "PreTrainedTokenizerFast", pairs: bool, phrasing: Phrasing) -> None:
    """Refuse a `max_length` that leaves no room for texts beside what every sequence has."""
    what, taken = "the special word pieces", tokenizer.num_special_tokens_to_add(pair=pairs)
    if pairs and phrasing.template is not None:
        what, taken = (
            "the template and the special word pieces",
            len(tokenizer(phrasing.template.join("", ""))["input_ids"]),
        )
    if phrasing.max_length <= taken:
        raise UserError(f"max_length {phrasing.max_length} leaves no room for text: {what} alone are {taken}")


def _refuse_empty(sequences: _Sequences, group: int) -> None:
    """Refuse a sequence of no piece at all: what a model reads of it would be another one's first piece."""
    empty = np.flatnonzero(np.diff(sequences.starts) == 0)
    if len(empty):
        raise UserError(
            f"row {empty[0] // group} (from 0) has no word piece: the tokenizer adds no special pieces, and leaves nothing of "
            "the text"
        )


def _texts(kind: Kind, rows: Rows) -> tuple[list[Any], list[str] | None]:
    """Return the first and second texts of every sequence; in choice tasks an example has two sequences in a row."""
    columns = rows.columns
    if kind == "choice":
        for row, question in enumerate(columns["question"]):
            if question not in QUESTIONS:
                raise UserError(f"row {row} (from 0): {unknown('question', question, QUESTIONS)}")
        asked = zip(columns["premise"], columns["question"], strict=True)
        first = [f"{premise} {QUESTIONS[question]}" for premise, question in asked for _ in range(2)]
        return first, list(itertools.chain(*zip(columns["choice1"], columns["choice2"], strict=True)))
    texts = list(columns.values())
    # A span task's further columns say where its spans are.
    alone = kind in ("span", "token") or len(texts) == 1
    return texts[0], None if alone else texts[1]


def _sequences(
    tokenizer: "PreTrainedTokenizerFast", kind: Kind, first: list[Any], second: list[str] | None, phrasing: Phrasing
) -> _Sequences:
    ids, types, lengths = [], [], [np.zeros(1, np.int64)]
    offsets: list[list[spans.Range]] = []
    cut_offsets: list[list[spans.Range]] = []
    numbers: list[word_pieces.Pieces] = []
    cut_numbers: list[list[word_pieces.Pieces]] = []
    for encoding in _batches(tokenizer, kind, first, second, phrasing):
        input_ids = encoding["input_ids"]
        lengths.append(np.fromiter(map(len, input_ids), np.int64, len(input_ids)))
        ids.append(_flat(input_ids))
        # RoBERTa's tokenizers know no types: they part the two texts by special pieces alone.
        types.append(_flat(encoding["token_type_ids"]) if "token_type_ids" in encoding else np.zeros_like(ids[-1]))
        # What truncation took off stays beside each encoding.
        taken_off = [one.overflowing for one in encoding.encodings or ()]
        if kind == "span":
            offsets += encoding["offset_mapping"]
            cut_offsets += [[piece for part in parts for piece in part.offsets] for parts in taken_off]
        if kind == "token":
            numbers += [encoding.word_ids(row) for row in range(len(input_ids))]
            cut_numbers += [[part.word_ids for part in parts] for parts in taken_off]
    starts = np.concatenate(lengths).cumsum()
    ends_to_ends = np.concatenate(ids), np.concatenate(types), starts
    return _Sequences(*ends_to_ends, offsets, cut_offsets, numbers, cut_numbers)


def _batches(
    tokenizer: "PreTrainedTokenizerFast", kind: Kind, first: list[Any], second: list[str] | None, phrasing: Phrasing
) -> Iterator["BatchEncoding"]:
    limit = phrasing.max_length if phrasing.overlong == "truncate" else None
    for start in range(0, len(first), BATCH):
        part = slice(start, start + BATCH)
        if second is not None and phrasing.template is not None:
            pairs = zip(first[part], second[part], strict=True)
            yield joining.encode(tokenizer, phrasing.template, list(pairs), limit)
            continue
        yield tokenizer(
            first[part],
            None if second is None else second[part],
            is_split_into_words=kind == "token",
            truncation="longest_first" if limit else False,
            max_length=limit,
            return_attention_mask=False,
            return_offsets_mapping=kind == "span",
            verbose=False,  # no warning about sequences that `encode` checks itself
        )


def _flat(sequences: Sequence[Sequence[int]]) -> Array:
    return np.fromiter(itertools.chain.from_iterable(sequences), np.int64, sum(map(len, sequences)))
