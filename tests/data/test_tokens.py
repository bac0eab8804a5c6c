"""Tokenised splits, against the tokenizer called on one example at a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from peftcli.data import corpora, rows, tokenizers, tokens
from peftcli.data.phrasing import Phrasing
from peftcli.data.rows import Rows
from peftcli.errors import UserError
from peftcli.experiment import templates
from peftcli.models import catalogue
from peftcli.tasks import registry as tasks
from tests import tokenizers_of_decoders as decoders
from tests.material import REAL, bert, needs_data, needs_minilm, roberta

AS_DECODERS = Phrasing(128, template=templates.parse("{first}\n{second}"), word="last")
TEXTS = ["the cat sat", "John's cats, what a result!", "", "this happened"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    encoders = {"bert": bert(root / "bert"), "roberta": roberta(root / "roberta")}
    return encoders | {name: decoders.write(root / name, name) for name in decoders.BUILDERS}


def checked(task: str, **columns: Any) -> Rows:
    return rows.check(tasks.get(task), "train", pa.table(columns))


def pairs(**more: Any) -> Rows:
    return checked("rte", sentence1=TEXTS, sentence2=TEXTS[::-1], label=[0, 1, 0, 1], **more)


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("max_length", [128, 12])
def test_pairs_are_the_tokenizers_own_unpadded(folders: dict[str, Path], name: str, max_length: int) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "pair")
    encoded = tokens.encode(tokenizer, "pair", pairs(idx=[7, 5, 3, 1]), Phrasing(max_length)).examples
    for row, (first, second) in enumerate(zip(TEXTS, TEXTS[::-1], strict=True)):
        # in lists, as a text alone with an empty second is taken for a single one
        alone = tokenizer([first], [second], truncation=True, max_length=max_length)
        (ids,) = alone["input_ids"]
        part = slice(encoded.starts[row], encoded.starts[row + 1])
        assert encoded.ids[part].tolist() == ids
        assert encoded.types[part].tolist() == alone.get("token_type_ids", [[0] * len(ids)])[0]
    assert encoded.lengths.max() <= max_length
    assert (encoded.labels.tolist(), encoded.numbers.tolist()) == ([0, 1, 0, 1], [7, 5, 3, 1])
    assert (encoded.types.max() == 1) == (name == "bert")


def test_batches_do_not_show(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "pair")
    whole = tokens.encode(tokenizer, "pair", pairs(), Phrasing(128)).examples
    monkeypatch.setattr(tokens, "BATCH", 3)
    parts = tokens.encode(tokenizer, "pair", pairs(), Phrasing(128)).examples
    assert parts.ids.tolist() == whole.ids.tolist()
    assert parts.starts.tolist() == whole.starts.tolist()


def test_sentences(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "sentence")
    encoded = tokens.encode(tokenizer, "sentence", checked("cola", sentence=TEXTS, label=[0, 1, 0, 1]), Phrasing(128))
    assert encoded.examples.ids[: encoded.examples.starts[1]].tolist() == tokenizer("the cat sat")["input_ids"]
    assert not encoded.examples.types.any()


@pytest.mark.parametrize("name", decoders.BUILDERS)
def test_texts_of_decoders_are_their_tokenizers_own(folders: dict[str, Path], name: str) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "sentence")
    texts = [text or "this" for text in TEXTS]
    table = checked("cola", sentence=texts, label=[0, 1, 0, 1])
    for max_length in (128, 6):
        examples = tokens.encode(tokenizer, "sentence", table, replace(AS_DECODERS, max_length=max_length)).examples
        alone = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
        assert [part.tolist() for part in np.split(examples.ids, examples.starts[1:-1])] == alone


@pytest.mark.parametrize("name", decoders.BUILDERS)
def test_an_empty_text_of_a_decoder_is_named_where_nothing_is_added(folders: dict[str, Path], name: str) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "sentence")
    table = checked("cola", sentence=TEXTS, label=[0, 1, 0, 1])
    if decoders.BEGINS.get(name):
        assert tokens.encode(tokenizer, "sentence", table, AS_DECODERS).examples.lengths[2] == 1
    else:
        with pytest.raises(
            UserError, match=r"row 2 \(from 0\) has no word piece: the tokenizer adds no special pieces"
        ):
            tokens.encode(tokenizer, "sentence", table, AS_DECODERS)
    # Of a pair the template is left.
    line_end = len(tokenizer("\n")["input_ids"])
    empty = checked("rte", sentence1=["", "a"], sentence2=["", "this"], label=[0, 1])
    assert tokens.encode(tokenizer, "pair", empty, AS_DECODERS).examples.lengths[0] == line_end


@pytest.mark.parametrize("name", ["bert", *decoders.BUILDERS])
@pytest.mark.parametrize("overlong", ["truncate", "drop"])
def test_joined_pairs_are_one_text(folders: dict[str, Path], name: str, overlong: Any) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "pair")
    wanted = [tokenizer(f"{a}\n{b}")["input_ids"] for a, b in zip(TEXTS, TEXTS[::-1], strict=True)]
    encoded = tokens.encode(tokenizer, "pair", pairs(), AS_DECODERS).examples
    assert [part.tolist() for part in np.split(encoded.ids, encoded.starts[1:-1])] == wanted
    assert not encoded.types.any()
    limit = sorted(map(len, wanted))[1]
    shorter = tokens.encode(tokenizer, "pair", pairs(), replace(AS_DECODERS, max_length=limit, overlong=overlong))
    fits = [row for row, ids in enumerate(wanted) if len(ids) <= limit]
    parts = [part.tolist() for part in np.split(shorter.examples.ids, shorter.examples.starts[1:-1])]
    if overlong == "drop":
        assert (parts, shorter.dropped) == ([wanted[row] for row in fits], 4 - len(fits))
    else:
        assert [parts[row] for row in fits] == [wanted[row] for row in fits]
        assert max(map(len, parts)) <= limit
        assert all("\n" in tokenizer.decode(part) or name == "bert" for part in parts)


def test_a_template_takes_room_too(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["llama 3"]), "pair")
    asked = templates.parse("{first}. Is it so that: {second}?")
    taken = len(tokenizer(". Is it so that: ?")["input_ids"])
    with pytest.raises(UserError, match=f"leaves no room .*: the template and the special word pieces .* {taken}"):
        tokens.encode(tokenizer, "pair", pairs(), Phrasing(taken, template=asked))
    assert (
        tokens.encode(tokenizer, "pair", pairs(), Phrasing(taken + 1, template=asked)).examples.lengths.max()
        == taken + 1
    )


def test_overlong_examples_are_left_out_where_asked(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "pair")
    whole = tokens.encode(tokenizer, "pair", pairs(), Phrasing(128)).examples
    limit = int(np.sort(whole.lengths)[1])
    kept = np.flatnonzero(whole.lengths <= limit)
    encoded = tokens.encode(tokenizer, "pair", pairs(), Phrasing(limit, "drop"))
    assert (encoded.dropped, len(encoded.examples)) == (4 - len(kept), len(kept))
    assert encoded.examples.numbers.tolist() == kept.tolist()
    assert encoded.examples.ids.tolist() == whole.take(kept).ids.tolist()
    with pytest.raises(UserError, match="max_length 5 with overlong: drop leaves no example"):
        tokens.encode(tokenizer, "pair", pairs(), Phrasing(5, "drop"))


@pytest.mark.parametrize(("name", "special"), [("bert", 3), ("roberta", 4)])
def test_a_length_without_room_is_refused(folders: dict[str, Path], name: str, special: int) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "pair")
    with pytest.raises(UserError, match=f"max_length {special} leaves no room .* alone are {special}"):
        tokens.encode(tokenizer, "pair", pairs(), Phrasing(special))
    assert tokens.encode(tokenizer, "pair", pairs(), Phrasing(special + 1)).examples.lengths.max() == special + 1


def test_a_sequence_longer_than_the_model_takes_is_refused(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "pair")
    tokenizer.model_max_length = 12
    with pytest.raises(UserError, match="has 13 word pieces, and the model takes 12: max_length 12 or less"):
        tokens.encode(tokenizer, "pair", pairs(), Phrasing(128))
    assert tokens.encode(tokenizer, "pair", pairs(), Phrasing(12)).examples.lengths.max() == 12


def test_choices_are_scored_one_by_one(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "choice")
    table = checked(
        "copa",
        premise=["the cat sat there", "john sat"],
        choice1=["a cat", "this"],
        choice2=["the result is longer", "that"],
        question=["cause", "effect"],
        label=[1, 0],
    )
    encoded = tokens.encode(tokenizer, "choice", table, Phrasing(128)).examples
    texts = [
        ("the cat sat there What was the CAUSE of this?", "a cat"),
        ("the cat sat there What was the CAUSE of this?", "the result is longer"),
        ("john sat What happened as a RESULT?", "this"),
        ("john sat What happened as a RESULT?", "that"),
    ]
    assert (len(encoded), encoded.group, encoded.labels.tolist()) == (2, 2, [1, 0])
    for sequence, (first, second) in enumerate(texts):
        alone = tokenizer(first, second)
        part = slice(encoded.starts[sequence], encoded.starts[sequence + 1])
        assert encoded.ids[part].tolist() == alone["input_ids"]
        assert encoded.types[part].tolist() == alone["token_type_ids"]
    shortest = int(encoded.lengths[0])  # the first choice of the first fits, its second does not
    assert tokens.encode(tokenizer, "choice", table, Phrasing(shortest, "drop")).examples.numbers.tolist() == [1]


@pytest.mark.parametrize("name", ["gpt2", "llama 3", "gemma"])
def test_choices_are_joined_too(folders: dict[str, Path], name: str) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "choice")
    columns = {"premise": ["the cat sat"], "choice1": ["a cat"], "choice2": ["this"], "question": ["effect"]}
    encoded = tokens.encode(tokenizer, "choice", checked("copa", **columns, label=[1]), AS_DECODERS).examples
    asked = "the cat sat What happened as a RESULT?"
    wanted = [tokenizer(f"{asked}\n{choice}")["input_ids"] for choice in ("a cat", "this")]
    assert (len(encoded), encoded.group) == (1, 2)
    assert [part.tolist() for part in np.split(encoded.ids, encoded.starts[1:-1])] == wanted


def test_an_unknown_question_is_refused(folders: dict[str, Path]) -> None:
    table = checked("copa", premise=["a"], choice1=["b"], choice2=["c"], question=["causes"], label=[1])
    with pytest.raises(UserError, match="unknown question 'causes': did you mean 'cause'"):
        tokens.encode(tokenizers.load(str(folders["bert"]), "choice"), "choice", table, Phrasing(128))


SENTENCES = [["John", "'s", "cats", "sat", "."], ["the"], ["what", "(", "result", ")"]]
TAGS = [[1, 0, 3, 0, 0], [5], [0, 7, 0, 8]]


@pytest.mark.parametrize("word", ["first", "last"])
@pytest.mark.parametrize("name", ["bert", "roberta", *decoders.BUILDERS])
def test_a_words_label_is_at_its_first_or_last_piece(folders: dict[str, Path], name: str, word: Any) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "token")
    table = checked("conll2003", tokens=SENTENCES, ner_tags=TAGS)
    encoded = tokens.encode(tokenizer, "token", table, Phrasing(128, word=word))
    examples = encoded.examples
    assert examples.words is not None
    assert examples.word_starts is not None
    assert encoded.left_out == {}
    assert examples.labels.tolist() == [tag for tags in TAGS for tag in tags]
    for row, words in enumerate(SENTENCES):
        # a byte-level tokenizer that adds no space itself would be handed the word with one
        alone = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
        ids = examples.ids[examples.starts[row] : examples.starts[row + 1]].tolist()
        begins = decoders.BEGINS.get(name, 0) if name in decoders.BUILDERS else 1
        assert ids[begins : len(ids) - (name not in decoders.BUILDERS)] == [p for pieces in alone for p in pieces]
        positions = examples.words[examples.word_starts[row] : examples.word_starts[row + 1]]
        # Where the next word begins, less one, a word ends.
        ends = [begins + sum(map(len, alone[: number + 1])) - 1 for number in range(len(words))]
        assert positions.tolist() == (ends if word == "last" else [begins, *(end + 1 for end in ends[:-1])])
    if name != "bert":
        assert tokenizer.convert_ids_to_tokens(ids)[begins][0] in "Ġ▁"


def test_words_that_are_cut_off_have_no_label(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "token")
    table = checked("conll2003", tokens=SENTENCES, ner_tags=TAGS)
    whole = tokens.encode(tokenizer, "token", table, Phrasing(128)).examples
    assert whole.words is not None
    assert whole.word_starts is not None
    encoded = tokens.encode(tokenizer, "token", table, Phrasing(6))
    kept = whole.words < 5  # a separator takes the last place
    assert encoded.left_out == {"words": int((~kept).sum())}
    assert encoded.examples.labels.tolist() == whole.labels[kept].tolist()
    assert encoded.examples.words is not None
    assert encoded.examples.words.tolist() == whole.words[kept].tolist()
    dropping = tokens.encode(tokenizer, "token", table, Phrasing(6, "drop"))
    rest = np.flatnonzero(whole.lengths <= 6)
    assert dropping.examples.numbers.tolist() == rest.tolist()
    assert dropping.examples.labels.tolist() == whole.take(rest).labels.tolist()


@pytest.mark.parametrize(
    ("name", "words", "max_length", "left_out"),
    [
        ("bert", ["a", "", "the"], 128, {"words_without_pieces": 1}),
        ("roberta", ["a", "", "the"], 128, {"words_without_pieces": 1}),
        ("bert", ["a", "the", "a", "", "the"], 5, {"words": 1, "words_without_pieces": 1}),
        ("bert", ["", "a", "the", "a", "the", ""], 5, {"words": 1, "words_without_pieces": 2}),
        ("roberta", [""], 128, {"words_without_pieces": 1}),
        ("bert", [], 128, {}),
        ("roberta", [], 128, {}),
    ],
)
def test_words_are_lost_for_one_reason_or_the_other(
    name: str, words: list[str], max_length: int, left_out: dict[str, int], folders: dict[str, Path]
) -> None:
    table = checked("conll2003", tokens=[words, ["the"]], ner_tags=[[2] * len(words), [1]])
    tokenizer = tokenizers.load(str(folders[name]), "token")
    encoded = tokens.encode(tokenizer, "token", table, Phrasing(max_length))
    assert encoded.left_out == left_out
    assert len(encoded.examples.labels) == len(words) + 1 - sum(left_out.values())
    assert encoded.examples.labels[-1] == 1


@pytest.mark.parametrize("side", ["left", "right"])
def test_words_before_the_maximum_length_are_cut_off_too(side: str, folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "token")
    tokenizer.truncation_side = side
    table = checked("conll2003", tokens=[["\u200b", "a", "the", "cat", "\u200b"]], ner_tags=[[1, 2, 3, 4, 5]])
    encoded = tokens.encode(tokenizer, "token", table, Phrasing(4))
    assert encoded.left_out == {"words": 1, "words_without_pieces": 2}
    assert encoded.examples.labels.tolist() == ([3, 4] if side == "left" else [2, 3])


KINDS: dict[str, dict[str, Any]] = {
    "cola": {"sentence": ["the cat", "\u200b"], "label": [0, 1]},
    "rte": {"sentence1": ["the cat", "\u200b"], "sentence2": ["a", ""], "label": [0, 1]},
    "conll2003": {"tokens": [["the"], ["\u200b"]], "ner_tags": [[1], [2]]},
}


@pytest.mark.parametrize("task", KINDS)
def test_a_row_without_any_piece(task: str, folders: dict[str, Path]) -> None:
    kind, table = tasks.get(task).kind, checked(task, **KINDS[task])
    tokenizer = tokenizers.load(str(folders["bert"]), kind)
    lengths = tokens.encode(tokenizer, kind, table, Phrasing(128)).examples.lengths
    assert lengths[1] == (3 if kind == "pair" else 2)  # the special pieces, which a model reads
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    with pytest.raises(UserError, match=r"row 1 \(from 0\) has no word piece: the tokenizer adds no special pieces"):
        tokens.encode(tokenizer, kind, table, Phrasing(128))


def spans(text: str = "John's cats sat where the dog sat", indices: tuple[int, int] = (0, 4)) -> Rows:
    columns = {"text": [text], "span1_text": ["John"], "span2_text": ["the Dog"], "label": [1], "idx": [42]}
    return checked("wsc", **columns, span1_index=[indices[0]], span2_index=[indices[1]])


@pytest.mark.parametrize("name", ["bert", "roberta", *decoders.BUILDERS])
def test_spans_are_their_texts_pieces(folders: dict[str, Path], name: str) -> None:
    tokenizer = tokenizers.load(str(folders[name]), "span")
    examples = tokens.encode(tokenizer, "span", spans(), Phrasing(128)).examples
    assert examples.spans is not None
    assert examples.spans.shape == (1, 2, 2)
    read = [tokenizer.decode(examples.ids[first:last]).strip().lower() for first, last in examples.spans[0]]
    assert [text.replace(" ", "") for text in read] == ["john", "thedog"]


def test_a_span_is_not_cut(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "span")
    length = int(tokens.encode(tokenizer, "span", spans(), Phrasing(128)).examples.lengths[0])
    with pytest.raises(
        UserError, match=r"max_length 14 cuts span 'the Dog' of example 42: give more, or overlong: drop"
    ):
        tokens.encode(tokenizer, "span", spans(), Phrasing(14))
    with pytest.raises(UserError, match="leaves no example"):
        tokens.encode(tokenizer, "span", spans(), Phrasing(length - 1, "drop"))
    with pytest.raises(UserError, match="'the Dog' does not stand at word 0"):
        tokens.encode(tokenizer, "span", spans(indices=(0, 0)), Phrasing(128))


@pytest.mark.parametrize(
    ("text", "span", "message"),
    [
        ("", "John", r"row 0 \(from 0\): span 'John' does not stand at word 0"),
        ("\u200b the dog", "\u200b", r"row 0 \(from 0\): the tokenizer leaves no word piece of span '\\u200b'"),
        ("John sat the dog", "", r"row 0 \(from 0\): span '' does not stand at word 0"),
    ],
)
def test_a_span_without_a_piece_is_named_by_its_row(
    text: str, span: str, message: str, folders: dict[str, Path]
) -> None:
    columns = {"text": [text], "span1_text": [span], "span2_text": ["the dog"], "label": [1], "idx": [42]}
    table = checked("wsc", **columns, span1_index=[0], span2_index=[1])
    with pytest.raises(UserError, match=message):
        tokens.encode(tokenizers.load(str(folders["bert"]), "span"), "span", table, Phrasing(128))


def test_a_mark_that_the_tokenizer_drops_cuts_no_span(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "span")
    plain = tokens.encode(tokenizer, "span", spans(), Phrasing(128)).examples
    columns = {"text": ["John\u200b's cats sat where the dog\u200b sat"], "span1_text": ["John\u200b"]}
    table = checked("wsc", **columns, span2_text=["the Dog\u200b"], label=[1], span1_index=[0], span2_index=[4])
    marked = tokens.encode(tokenizer, "span", table, Phrasing(128)).examples
    assert plain.spans is not None
    assert marked.spans is not None
    assert marked.spans.tolist() == plain.spans.tolist()


@needs_data
@needs_minilm
@pytest.mark.parametrize(
    ("name", "split"),
    [("minilm", "train"), ("minilm", "validation"), *((name, "validation") for name in ("gpt2", "llama 3", "gemma"))],
)
def test_every_span_of_wsc_is_found(name: str, split: str, folders: dict[str, Path]) -> None:
    task = tasks.get("wsc")
    table = rows.check(task, split, corpora.read(task, (split,), REAL)[split])
    tokenizer = tokenizers.load(str(folders.get(name) or catalogue.minilm_folder()), "span")
    examples = tokens.encode(tokenizer, "span", table, Phrasing(256 if name == "minilm" else 512)).examples
    assert examples.spans is not None

    def letters(text: str) -> str:
        return "".join(filter(str.isalnum, text.lower()))

    for row in range(len(table)):
        ids = examples.ids[examples.starts[row] : examples.starts[row + 1]]
        for which, (first, last) in enumerate(examples.spans[row]):
            span, index = (table.columns[f"span{which + 1}_{what}"][row] for what in ("text", "index"))
            assert letters(tokenizer.decode(ids[first:last])) == letters(span)
            before = letters(tokenizer.decode(ids[:first], skip_special_tokens=True))
            words = [letters(" ".join(table.columns["text"][row].split()[: index + more])) for more in (0, 1)]
            assert before in words  # at its word, or the one behind


@needs_data
@needs_minilm
def test_real_pairs_one_by_one() -> None:
    task = tasks.get("mrpc")
    table = rows.check(task, "validation", corpora.read(task, ("validation",), REAL)["validation"])
    tokenizer = tokenizers.load(str(catalogue.minilm_folder()), "pair")
    encoded = tokens.encode(tokenizer, "pair", table, Phrasing(64)).examples
    for row, (first, second) in enumerate(zip(*table.columns.values(), strict=True)):
        alone = tokenizer(first, second, truncation=True, max_length=64)
        part = slice(encoded.starts[row], encoded.starts[row + 1])
        assert encoded.ids[part].tolist() == alone["input_ids"]
        assert encoded.types[part].tolist() == alone["token_type_ids"]


@needs_data
@pytest.mark.parametrize("name", ["gpt2", "llama 2", "qwen2"])
def test_real_pairs_joined_one_by_one(name: str, folders: dict[str, Path]) -> None:
    task = tasks.get("mrpc")
    table = rows.check(task, "validation", corpora.read(task, ("validation",), REAL)["validation"])
    tokenizer = tokenizers.load(str(folders[name]), "pair")
    encoded = tokens.encode(tokenizer, "pair", table, replace(AS_DECODERS, max_length=192)).examples
    parts = [part.tolist() for part in np.split(encoded.ids, encoded.starts[1:-1])]
    cut = 0
    for ids, first, second in zip(parts, *table.columns.values(), strict=True):
        whole = tokenizer(f"{first}\n{second}")["input_ids"]
        if len(whole) <= 192:
            assert ids == whole
            continue
        cut += 1
        a, b = tokenizer.decode(ids, skip_special_tokens=True).split("\n")
        assert first.startswith(a.strip())
        assert second.startswith(b)
        assert 190 <= len(ids) <= 192
        lengths = [len(tokenizer(text)["input_ids"]) for text in (a, b)]
        # Only a text that is at least as long as the other is cut, but for what pieces become alone.
        assert a == first or lengths[0] >= lengths[1] - 3
        assert b == second or lengths[1] >= lengths[0] - 3
    assert 100 < cut < 308  # some of both
