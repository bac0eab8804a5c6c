"""Pairs joined by a template: what the tokenizer makes of the joined text, and of shortened texts where that is too long."""

import itertools
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from peftcli.data import joining, tokenizers
from peftcli.experiment import templates
from tests import tokenizers_of_decoders as decoders

PAIRS = [
    ("the cat sat, said John", "a result"),
    ("hello", "John's cats sat where the dog sat."),
    ("", "this"),
    ("What was the CAUSE?", ""),
    ("naïve 猫🙂🙂 cat", "🙂 the 猫"),
]
TEMPLATES = ["{first}\n{second}", "{first} {second}", "Text: {second}. So: {first}?", "{first}{second}"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {name: tokenizers.load(str(decoders.write(root / name, name)), "pair") for name in decoders.BUILDERS}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", decoders.BUILDERS)
def test_a_pair_is_the_joined_text_as_the_tokenizer_reads_it(name: str, template: str, loaded: dict[str, Any]) -> None:
    tokenizer = loaded[name]
    encoding = joining.encode(tokenizer, templates.parse(template), PAIRS, None)
    for ids, (first, second) in zip(encoding["input_ids"], PAIRS, strict=True):
        assert ids == tokenizer(template.format(first=first, second=second))["input_ids"]


def _taken(text: str, side: str) -> list[str]:
    """Every beginning (or, where texts are cut on the left, end) of a text, the text itself among them."""
    return [text[at:] if side == "left" else text[:at] for at in range(len(text) + 1)]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", ["gpt2", "llama 2", "llama 3", "gemma"])
def test_of_a_pair_that_is_too_long_the_texts_are_shortened_and_the_template_stays(
    name: str, template: str, side: str, loaded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, parsed = loaded[name], templates.parse(template)
    monkeypatch.setattr(tokenizer, "truncation_side", side)
    room = len(tokenizer(template.format(first="", second=""))["input_ids"])
    # Of the last pair a character is several pieces, and pieces join otherwise behind a cut.
    for first, second in (PAIRS[0], PAIRS[-1]):
        kept = itertools.product(_taken(first, side), _taken(second, side))
        shortened = {tuple(tokenizer(parsed.join(*pair))["input_ids"]) for pair in kept}
        whole = len(tokenizer(parsed.join(first, second))["input_ids"])
        for limit in range(room + 1, whole + 1):
            (ids,) = joining.encode(tokenizer, parsed, [(first, second)], limit)["input_ids"]
            assert len(ids) <= limit
            assert tuple(ids) in shortened
            if (first, second) == PAIRS[0]:
                assert len(ids) >= limit - 1  # behind a cut two pieces may join


@pytest.mark.parametrize("name", ["gpt2", "qwen2", "llama 3"])
def test_the_longer_text_gives_first_by_hand(name: str, loaded: dict[str, Any]) -> None:
    tokenizer, template = loaded[name], templates.parse("{first}\n{second}")
    first, second = "the cat sat where the dog sat", "hello world hello"
    pieces = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (first, second)]
    begin, (line_end,) = tokenizer("")["input_ids"], tokenizer("\n", add_special_tokens=False)["input_ids"]
    for limit in range(len(begin) + 2, len(begin) + 1 + sum(map(len, pieces))):
        # As the tokenizer itself cuts a pair without anything between.
        pair = tokenizer(
            first, second, truncation="longest_first", max_length=limit - len(begin) - 1, add_special_tokens=False
        )
        sides = pair.sequence_ids()
        by_hand = [*begin, *pieces[0][: sides.count(0)], line_end, *pieces[1][: sides.count(1)]]
        assert joining.encode(tokenizer, template, [(first, second)], limit)["input_ids"] == [by_hand]


def test_as_many_pieces_are_kept_as_the_library_keeps() -> None:
    library = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for first, second, room in itertools.product(range(7), range(7), range(1, 12)):
        if first + second > room:
            library.enable_truncation(room, strategy="longest_first")
            sides = library.encode("a " * first, "b " * second).sequence_ids
            assert joining.longest_first(first, second, room) == (sides.count(0), sides.count(1))
