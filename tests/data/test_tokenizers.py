"""A model's tokenizer: loaded, refused where it knows no words, its fingerprint, and how much it does not know."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from peftcli.data import tokenizers
from peftcli.errors import UserError
from peftcli.models import hub
from tests import tokenizers_of_decoders as decoders
from tests.material import bert, roberta

FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "deberta-v2", "xlm-roberta")
CONFIG = {"model_max_length": 40, "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
TEXT = "the cat sat, said John, on this café's 1st mat"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {"bert": bert(root / "bert"), "roberta": roberta(root / "roberta")}


def of(folder: Path, kind: str = "pair") -> str:
    return tokenizers.fingerprint(tokenizers.load(str(folder), kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_without_a_vocabulary_is_refused(family: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    kept: list[Callable[[], object]] = [
        lambda: None,
        lambda: (tmp_path / "tokenizer_config.json").write_text(json.dumps(CONFIG)),
        # Tokens that somebody added to a vocabulary are no vocabulary.
        lambda: (tmp_path / "added_tokens.json").write_text(json.dumps({"<url>": 30000})),
    ]
    for add in kept:
        add()
        with pytest.raises(UserError, match="knows no words, special tokens alone: put its files"):
            tokenizers.load(str(tmp_path), "pair")


def test_a_vocabulary_of_special_tokens_alone_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "bert"))
    special = (folder / "vocab.txt").read_text().split("\n")[:5]
    for content in ("", "\n".join(special)):
        (folder / "vocab.txt").write_text(content)
        with pytest.raises(UserError, match=r"knows no words|cannot load the tokenizer"):
            tokenizers.load(str(folder), "pair")


@pytest.mark.parametrize("lost", ["merges.txt", "vocab.json"])
def test_half_of_a_byte_level_tokenizer_is_refused(lost: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["roberta"], tmp_path / "roberta"))
    (folder / lost).unlink()
    with pytest.raises(UserError, match=r"its merges are missing|knows no words|cannot load the tokenizer"):
        tokenizers.load(str(folder), "pair")


def test_a_byte_level_vocabulary_that_nothing_joins_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    tokenizers.load(str(folders["roberta"]), "pair").save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["merges"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    with pytest.raises(UserError, match=r"never joins letters to pieces such as '\w+': its merges are missing"):
        tokenizers.load(str(tmp_path), "pair")


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_stored_elsewhere_or_otherwise_it_is_the_same(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    first = of(folders[name])
    assert of(Path(shutil.copytree(folders[name], tmp_path / "moved"))) == first
    # As other programs store it: the library's one file, its keys in another order.
    saved = tmp_path / "saved"
    tokenizers.load(str(folders[name]), "pair").save_pretrained(saved)
    shutil.copy(folders[name] / "config.json", saved)
    content = json.loads((saved / "tokenizer.json").read_text())
    content["model"]["vocab"] = dict(reversed(content["model"]["vocab"].items()))
    (saved / "tokenizer.json").write_text(json.dumps(dict(reversed(content.items()))))
    assert of(saved) == first
    assert len(first) == 16


def test_a_call_leaves_the_fingerprint_alone(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "pair")
    first = tokenizers.fingerprint(tokenizer)
    tokenizer(["the cat"] * 3, truncation=True, max_length=4, padding=True)
    assert tokenizers.fingerprint(tokenizer) == first


def _swapped(folder: Path) -> None:
    words = (folder / "vocab.txt").read_text().split("\n")
    (folder / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]))


def _configured(**settings: object) -> Callable[[Path], object]:
    return lambda folder: (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    "change",
    [
        _swapped,
        _configured(do_lower_case=False),
        _configured(strip_accents=False),
        _configured(sep_token="[MASK]"),
        _configured(truncation_side="left"),
        _configured(model_input_names=["input_ids", "attention_mask"]),
    ],
    ids=["two words swapped", "case kept", "accents kept", "another separator", "cut on the left", "no types"],
)
def test_what_changes_ids_changes_the_fingerprint(
    change: Callable[[Path], object], folders: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folders["bert"], tmp_path / "copy"))
    change(copy)
    assert of(copy) != of(folders["bert"])


def test_split_words_are_read_by_a_tokenizer_of_their_own(folders: dict[str, Path]) -> None:
    assert of(folders["roberta"], "pair") != of(folders["roberta"], "token")


SENTENCE = ["the", "cat's", "result", "in", "U.S.", "dogs", "(big)", "don't", "🙂"]


@pytest.mark.parametrize("name", [*decoders.BUILDERS, "roberta", "bert", "modernbert"])
def test_a_split_word_is_read_as_in_a_text(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    if name == "modernbert":  # byte-level as GPT-2, without a class that has a switch for the space
        folder = decoders.write(tmp_path, "gpt2", model_type="modernbert")
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    else:
        folder = folders[name] if name in folders else decoders.write(tmp_path, name)
    plain, of_words = (tokenizers.load(str(folder), kind) for kind in ("pair", "token"))
    text = plain(f"a {' '.join(SENTENCE)}", add_special_tokens=False)
    split = of_words(SENTENCE, is_split_into_words=True, add_special_tokens=False)
    start = 2
    for number, word in enumerate(SENTENCE):
        inside = [at for at, (_, end) in enumerate(text.encodings[0].offsets) if start <= end <= start + len(word)]
        read = [piece for piece, of in zip(split["input_ids"], split.word_ids(), strict=True) if of == number]
        assert read == [text["input_ids"][at] for at in inside], word
        start += len(word) + 1
    assert of_words([""], is_split_into_words=True, add_special_tokens=False)["input_ids"] == []


@pytest.mark.parametrize("name", decoders.BUILDERS)
def test_decoders_have_the_special_pieces_that_their_tokenizer_adds(name: str, tmp_path: Path) -> None:
    folder = decoders.write(tmp_path, name)
    about = json.loads((folder / "tokenizer_config.json").read_text())
    about.pop("pad_token", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    tokenizer = tokenizers.load(str(folder), "pair")  # none is asked for
    ids = tokenizer("the cat")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "the cat"
    assert sum(piece in tokenizer.all_special_ids for piece in ids) == decoders.BEGINS.get(name, 0)
    assert len(tokenizer("")["input_ids"]) == decoders.BEGINS.get(name, 0)


def test_the_share_of_unknown_pieces_leaves_special_ones_out(folders: dict[str, Path]) -> None:
    tokenizer = tokenizers.load(str(folders["bert"]), "pair")
    ids = np.array(tokenizer(["the cat sat", "猫 the 猫"])["input_ids"]).ravel()
    assert len(ids) == 10
    assert tokenizers.unknown_share(tokenizer, ids) == pytest.approx(2 / 6)
    byte_level = tokenizers.load(str(folders["roberta"]), "pair")
    assert tokenizers.unknown_share(byte_level, np.array(byte_level("猫 the 猫")["input_ids"])) == 0.0
    assert tokenizers.unknown_share(tokenizer, np.array([], np.int64)) == 0.0


def test_a_tokenizer_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    (tmp_path / "config.json").write_text("{}")
    for source in (str(tmp_path), "some-stranger/some-model"):
        with pytest.raises(UserError, match=r"cannot load the tokenizer of model .*--model minilm") as error:
            tokenizers.load(source, "pair")
        assert "\n" not in str(error.value)
