"""Tokenising a split with the model's own fast tokenizer, to sequences laid end to end without padding."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from peftcli.data import spans
from peftcli.data.examples import Array, Examples
from peftcli.data.rows import SPAN_PLACES, Rows
from peftcli.errors import UserError, unknown
from peftcli.models import catalogue, hub
from peftcli.tasks.registry import Kind

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerFast

BATCH = 2048  # rows at once: a tenth of a second's work
QUESTIONS = {"cause": "What was the CAUSE of this?", "effect": "What happened as a RESULT?"}

Overlong = Literal["truncate", "drop"]


@dataclass(frozen=True)
class Encoded:
    """A tokenised split: its examples, how many were left out as overlong, and how many words lost to truncation."""

    examples: Examples
    dropped: int
    lost_words: int


@dataclass(frozen=True)
class _Sequences:
    """Word pieces end to end, as in `Examples`; `offsets` and `words` of each piece only where a kind reads them."""

    ids: Array
    types: Array
    starts: Array
    offsets: list[list[spans.Range]]
    words: list[list[int | None]]


def load(source: str, kind: Kind) -> "PreTrainedTokenizerFast":
    """Load the fast tokenizer of a hub id or folder, ready for split words where the kind is `token`.

    Raises UserError where it is not there, cannot be had without a network, or is not a fast one.
    """
    tokenizer = _load(source)
    # A byte-level tokenizer sees words without the space before them unless told to put it there.
    if kind == "token" and getattr(tokenizer, "add_prefix_space", None) is False:
        tokenizer = _load(source, add_prefix_space=True)
    if not tokenizer.is_fast:
        raise UserError(f"model {source!r} has no fast tokenizer (tokenizer.json), which peftcli needs")
    return tokenizer


def _load(source: str, **options: Any) -> "PreTrainedTokenizerFast":
    from transformers import AutoTokenizer

    local = Path(source).is_dir() or not hub.reachable()
    try:
        with hub.quiet():
            return AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=local, **options)
    except Exception as error:  # files of a stranger, read by several libraries: many kinds
        first = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise UserError(
            f"cannot load the tokenizer of model {source!r}: {first[:200]} ({catalogue.OFFLINE_HELP})"
        ) from None


def fingerprint(tokenizer: "PreTrainedTokenizerFast") -> str:
    """Hash what decides a text's word pieces, the library's version included; 16 hexadecimal digits."""
    import tokenizers

    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content |= {"truncation": None, "padding": None}  # set anew by every call
    whole = [content, tokenizer.model_input_names, tokenizer.truncation_side, tokenizers.__version__]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def encode(
    tokenizer: "PreTrainedTokenizerFast", kind: Kind, rows: Rows, max_length: int, overlong: Overlong
) -> Encoded:
    """Tokenise a split. `max_length` is in word pieces, special ones included, for each sequence.

    Pairs lose pieces from the end of the longer text until they fit. A choice is the premise with its question, and one
    choice: two sequences an example. In token tasks a word's label stands at its first word piece; words that are cut
    off have none. With `drop`, examples with a sequence over `max_length` are left out instead.
    Raises UserError where no text fits beside the special pieces, where a sequence is longer than the model takes,
    where truncation would cut a span, where a span is not in its text, and where nothing is left.
    """
    first, second = _texts(kind, rows)
    special = tokenizer.num_special_tokens_to_add(pair=second is not None)
    if max_length <= special:
        raise UserError(f"max_length {max_length} leaves no room for text: the special word pieces alone are {special}")
    found = _sequences(tokenizer, kind, first, second, max_length if overlong == "truncate" else None)
    group = len(first) // len(rows)
    examples = Examples(found.ids, found.types, found.starts, rows.labels, rows.numbers, group)
    if kind == "token":
        examples, lost = _label_words(examples, found, rows)
    else:
        lost = 0
    if overlong == "drop":
        kept = np.flatnonzero(examples.lengths.reshape(-1, group).max(1) <= max_length)
        if not len(kept):
            raise UserError(f"max_length {max_length} with overlong: drop leaves no example")
    else:
        kept = np.arange(len(rows))
    _check_lengths(examples, kept, group, tokenizer.model_max_length)
    if kind == "span":
        examples = _place_spans(examples, found, rows, kept, max_length)
    whole = len(kept) == len(rows)
    return Encoded(examples if whole else examples.take(kept), len(rows) - len(kept), lost)


def _check_lengths(examples: Examples, kept: Array, group: int, limit: int) -> None:
    longest = int(examples.lengths.reshape(-1, group)[kept].max())
    if longest > limit:
        raise UserError(
            f"a sequence has {longest} word pieces, and the model takes {limit}: max_length {limit} or less"
        )


def _texts(kind: Kind, rows: Rows) -> tuple[list[Any], list[str] | None]:
    """The first and second texts of every sequence; for choices both sequences of an example in a row."""
    columns = rows.columns
    if kind == "choice":
        for row, question in enumerate(columns["question"]):
            if question not in QUESTIONS:
                raise UserError(f"row {row} (from 0): {unknown('question', question, QUESTIONS)}")
        asked = zip(columns["premise"], columns["question"], strict=True)
        first = [f"{premise} {QUESTIONS[question]}" for premise, question in asked for _ in range(2)]
        return first, list(itertools.chain(*zip(columns["choice1"], columns["choice2"], strict=True)))
    texts = list(columns.values())
    alone = kind in ("span", "token") or len(texts) == 1
    return texts[0], None if alone else texts[1]


def _sequences(
    tokenizer: "PreTrainedTokenizerFast", kind: Kind, first: list[Any], second: list[str] | None, limit: int | None
) -> _Sequences:
    ids, types, lengths = [], [], [np.zeros(1, np.int64)]
    offsets: list[list[spans.Range]] = []
    words: list[list[int | None]] = []
    for encoding in _batches(tokenizer, kind, first, second, limit):
        own = encoding["input_ids"]
        lengths.append(np.fromiter(map(len, own), np.int64, len(own)))
        ids.append(_flat(own))
        types.append(_flat(encoding["token_type_ids"]) if "token_type_ids" in encoding else np.zeros_like(ids[-1]))
        if kind == "span":
            offsets += encoding["offset_mapping"]
        if kind == "token":
            words += [encoding.word_ids(row) for row in range(len(own))]
    starts = np.concatenate(lengths).cumsum()
    return _Sequences(np.concatenate(ids), np.concatenate(types), starts, offsets, words)


def _batches(
    tokenizer: "PreTrainedTokenizerFast", kind: Kind, first: list[Any], second: list[str] | None, limit: int | None
) -> Iterator["BatchEncoding"]:
    for at in range(0, len(first), BATCH):
        part = slice(at, at + BATCH)
        yield tokenizer(
            first[part],
            None if second is None else second[part],
            is_split_into_words=kind == "token",
            truncation="longest_first" if limit else False,
            max_length=limit,
            return_attention_mask=False,
            return_offsets_mapping=kind == "span",
            verbose=False,
        )


def _flat(sequences: Sequence[Sequence[int]]) -> Array:
    return np.fromiter(itertools.chain.from_iterable(sequences), np.int64, sum(map(len, sequences)))


def _label_words(examples: Examples, found: _Sequences, rows: Rows) -> tuple[Examples, int]:
    """Point at each word's first word piece, with its label; count the words that have none."""
    (column,) = rows.columns.values()
    before = np.concatenate([[0], np.cumsum(list(map(len, column)))])
    firsts = [_first_pieces(words) for words in found.words]
    places = _flat([list(own.values()) for own in firsts])
    counts = np.fromiter(map(len, firsts), np.int64, len(firsts))
    kept = _flat([list(own) for own in firsts]) + np.repeat(before[:-1], counts)
    starts = np.concatenate([[0], np.cumsum(counts)])
    labelled = Examples(
        examples.ids, examples.types, examples.starts, rows.labels[kept], rows.numbers, words=places, word_starts=starts
    )
    return labelled, int(before[-1]) - len(kept)


def _first_pieces(words: Iterable[int | None]) -> dict[int, int]:
    found: dict[int, int] = {}
    for place, word in enumerate(words):
        if word is not None:
            found.setdefault(word, place)
    return found


def _place_spans(examples: Examples, found: _Sequences, rows: Rows, kept: Array, max_length: int) -> Examples:
    columns = rows.columns
    spans_of = [name.replace("_index", "_text") for name in SPAN_PLACES]
    places = np.zeros((len(rows), 2, 2), np.int64)
    for row in kept.tolist():
        text = next(iter(columns.values()))[row]
        for which, (span, index) in enumerate(zip(spans_of, SPAN_PLACES, strict=True)):
            place = spans.characters(text, columns[span][row], columns[index][row])
            pieces = spans.pieces(found.offsets[row], place)
            if pieces is None:
                raise UserError(
                    f"max_length {max_length} cuts span {columns[span][row]!r} of example {rows.numbers[row]}: "
                    "give more, or overlong: drop"
                )
            places[row, which] = pieces
    return Examples(examples.ids, examples.types, examples.starts, examples.labels, examples.numbers, spans=places)
