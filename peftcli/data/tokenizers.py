"""A model's fast tokenizer: loaded, refused where it knows no words, and the fingerprint of what determines its ids."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peftcli.data import notes
from peftcli.data.examples import Array
from peftcli.errors import UserError, first_line
from peftcli.models import catalogue, fingerprints, hub
from peftcli.models.files import locate
from peftcli.tasks.registry import Kind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILES = "tokenizer.json, vocab.txt, vocab.json with merges.txt, spiece.model or the like"
PROBE = "a's"  # a word that shows whether a space is added before words, and whether within them
# From this share of unknown word pieces on, a tokenizer may be another model's, or the text in another script than its.
MANY_UNKNOWN = 0.03


def load(source: str, kind: Kind) -> "PreTrainedTokenizerFast":
    """Load the fast tokenizer of a hub id or folder, ready for split words where the kind is `token`.

    Raises UserError where it is not there, cannot be had without a network, is not a fast one, or knows no words.
    """
    tokenizer = _load(source)
    if not tokenizer.is_fast:
        raise UserError(f"model {source!r} has no fast tokenizer (tokenizer.json), which peftcli needs")
    _check(tokenizer, source)
    return _of_words(tokenizer, source) if kind == "token" else tokenizer


def of_model(model: str, kind: Kind) -> "tuple[PreTrainedTokenizerFast, str]":
    """Return a model's tokenizer for a kind of task, and its fingerprint, which is kept. Raises UserError."""
    before = key(model, kind)
    tokenizer = load(locate(model), kind)
    current = fingerprint(tokenizer)
    # Files that were replaced meanwhile are not those that were read.
    if before == key(model, kind):
        fingerprints.remember(before, current)
    return tokenizer, current


def key(model: str, kind: Kind) -> str | None:
    """Return what the fingerprint of a model's tokenizer is kept under; None where the model is not on this machine."""
    split = "tokenizer of split words" if kind == "token" else "tokenizer"  # which may be read otherwise
    return fingerprints.key_of_model(split, model)


def fingerprint(tokenizer: "PreTrainedTokenizerFast") -> str:
    """Return a hash of what determines a text's word pieces, wherever and in whatever order it is stored; 16 hex digits."""
    content = _content(tokenizer)
    content |= {"truncation": None, "padding": None}  # left over from the last call; each call sets them
    # From which end a text is cut, and whether the second text of a pair is marked, stand outside the content.
    whole = [content, tokenizer.truncation_side, "token_type_ids" in tokenizer.model_input_names]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def unknown_share(tokenizer: "PreTrainedTokenizerFast", ids: Array) -> float:
    """Return which share of a split's word pieces [word pieces] are unknown ones, special pieces left out."""
    unknown, special = tokenizer.unk_token_id, set(tokenizer.all_special_ids)
    markers = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    # Where one piece both opens a text and stands for what is unknown, the two cannot be told apart.
    if unknown is None or unknown in markers:
        return 0.0
    words = ~np.isin(ids, sorted(special - {unknown}))
    return float((ids == unknown).sum() / max(int(words.sum()), 1))


def say_unknown(where: str, share: float, model: str) -> None:
    """Say on stderr that a tokenizer does not know many of the word pieces that it was asked for."""
    if share > MANY_UNKNOWN:
        notes.say(
            f"{where}: the tokenizer of model {model!r} does not know {share:.1%} of the word pieces: "
            "is it this model's, and for text of this kind?"
        )


def _of_words(tokenizer: "PreTrainedTokenizerFast", source: str) -> "PreTrainedTokenizerFast":
    """Return a model's tokenizer so that it reads a word that arrives alone as it reads one in the middle of a text.

    Many have one piece for "cat" behind a space and another for "cat" without. Split words arrive without spaces, so the
    one that stood before each of them has to be added: by the tokenizer's own switch where it has one that does it, and
    otherwise in front of whatever it does to a text.
    """
    in_text = tokenizer(f"{PROBE} {PROBE}", add_special_tokens=False, return_offsets_mapping=True)
    wanted = [
        piece
        for piece, (_, end) in zip(in_text["input_ids"], in_text["offset_mapping"], strict=True)
        if end > len(PROBE)  # of the second word, maybe with its space
    ]
    if _alone(tokenizer) == wanted:
        return tokenizer
    # Qwen's switch adds a space within words too, wherever it parts them, and Llama 3's and Gemma's do nothing.
    switched = _load(source, add_prefix_space=True)
    if _alone(switched) == wanted:
        return switched
    from tokenizers import normalizers

    pipeline = tokenizer.backend_tokenizer
    steps = [] if pipeline.normalizer is None else [pipeline.normalizer]
    pipeline.normalizer = normalizers.Sequence([normalizers.Prepend(" "), *steps])
    return tokenizer


def _alone(tokenizer: "PreTrainedTokenizerFast") -> list[int]:
    """Return the word pieces of the probing word where it arrives as one of several split words."""
    encoding = tokenizer([PROBE, PROBE], is_split_into_words=True, add_special_tokens=False)
    return [piece for piece, word in zip(encoding["input_ids"], encoding.word_ids(), strict=True) if word == 1]


def _load(source: str, **options: Any) -> "PreTrainedTokenizerFast":
    from transformers import AutoTokenizer

    local = Path(source).is_dir() or not hub.reachable()
    try:
        with hub.quiet():
            return AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=local, **options)
    except Exception as error:  # files that anyone wrote, read by several libraries: many kinds
        raise UserError(
            f"cannot load the tokenizer of model {source!r}: {first_line(error)} ({catalogue.OFFLINE_HELP})"
        ) from None


def _check(tokenizer: "PreTrainedTokenizerFast", source: str) -> None:
    """Refuse a tokenizer without words, or without what joins their pieces: it takes any text for unknown or for letters.

    The library makes one where files are missing, and does not say so.
    """
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    vocabulary = set(tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False))
    words = vocabulary - added - set(tokenizer.all_special_tokens)
    if not words:
        raise UserError(
            f"the tokenizer of model {source!r} knows no words, special tokens alone: put its files ({FILES}) "
            "beside the model's config.json"
        )
    model = _content(tokenizer)["model"]
    # A vocabulary of single bytes or letters needs no merges; any longer piece is only ever reached by them.
    if model.get("type") == "BPE" and not model.get("merges") and not model.get("ignore_merges"):
        longer = sorted(word for word in words if len(word) > 1)
        if longer:
            raise UserError(
                f"the tokenizer of model {source!r} never joins letters to pieces such as {longer[0]!r}: its merges "
                f"are missing; put its files ({FILES}) beside the model's config.json"
            )


def _content(tokenizer: "PreTrainedTokenizerFast") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return content
