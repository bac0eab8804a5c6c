"""The treebank sample, against NLTK's own reader of it."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from peftcli.data import rows, treebank
from peftcli.errors import UserError
from peftcli.tasks import registry as tasks
from tests.material import REAL, needs_data

TREE = "\n( (S (NP (DT the) (NN cat) )\n     (VP (VBD sat) (-NONE- *T*-1) ) (. .) ))\n( (NP (NN cat) ))\n"


def write(folder: Path, documents: dict[str, str]) -> Path:
    combined = folder / "corpora" / "treebank" / "combined"
    combined.mkdir(parents=True)
    for name, text in documents.items():
        (combined / name).write_text(text)
    return folder


def test_leaves_of_each_sentence_are_its_words(tmp_path: Path) -> None:
    tables = treebank.tables(write(tmp_path, {"wsj_0001.mrg": TREE, "README": "(X y)"}), tasks.TREEBANK)
    read = tables["train"].to_pydict() if len(tables["train"]) else tables["validation"].to_pydict()
    assert read["tokens"] == [["the", "cat", "sat", "*T*-1", "."], ["cat"]]
    assert [[tasks.TREEBANK[tag] for tag in tags] for tags in read["tags"]] == [
        ["DT", "NN", "VBD", "-NONE-", "."],
        ["NN"],
    ]


def test_documents_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    documents = {f"wsj_{number:04d}.mrg": f"( (NN {number}))\n" for number in range(60)}
    plain = treebank.tables(write(tmp_path / "plain", documents), tasks.TREEBANK)
    (tmp_path / "zipped" / "corpora").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "zipped" / "corpora" / "treebank.zip", "w") as archive:
        for name, text in reversed(documents.items()):
            archive.writestr(f"treebank/combined/{name}", text)
    assert treebank.tables(tmp_path / "zipped", tasks.TREEBANK) == plain
    assert {split: len(table) for split, table in plain.items()} == {"train": 20, "validation": 40}


def test_an_unknown_tag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tag 'ZZ' is none of the sample's"):
        treebank.tables(write(tmp_path, {"wsj_0001.mrg": "( (ZZ x))"}), tasks.TREEBANK)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\xff" * 100])
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "treebank.zip").write_bytes(content)
    with pytest.raises(UserError, match="cannot read the treebank sample"):
        treebank.tables(tmp_path, tasks.TREEBANK)


def test_a_missing_sample_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treebank, "nltk_folders", lambda: [tmp_path / "nltk"])
    with pytest.raises(UserError, match=r"nltk\.downloader treebank.*--data-dir"):
        treebank.tables(None, tasks.TREEBANK)


def test_the_folders_that_nltk_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {f"wsj_{number:04d}.mrg": "( (NN here))\n" for number in range(41)}
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NLTK_DATA", raising=False)
    write(tmp_path / "home" / "nltk_data", documents)
    assert len(treebank.documents(None)) == 41
    write(tmp_path / "chosen", dict(list(documents.items())[:3]))
    monkeypatch.setenv("NLTK_DATA", f":{tmp_path / 'empty'}:{tmp_path / 'chosen'}")
    assert len(treebank.documents(None)) == 3
    assert len(treebank.documents(tmp_path / "nowhere")) == 3
    assert len(treebank.documents(tmp_path / "home" / "nltk_data")) == 41


@needs_data
def test_the_sample_is_what_nltk_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(REAL / "ptb_nltk" / "corpora" / "treebank.zip") as archive:
        archive.extractall(tmp_path / "corpora")
    zipped = treebank.documents(REAL / "ptb_nltk")
    monkeypatch.setattr(treebank, "nltk_folders", lambda: [tmp_path])
    assert treebank.documents(None) == zipped
    assert sum(map(len, zipped)) == 3914
    assert sum(len(sentence) for document in zipped for sentence in document) == 100676
    # The same digest of NLTK 3.10's BracketParseCorpusReader.tagged_sents, document by document, as (tag, word).
    digest = hashlib.sha256(json.dumps(zipped).encode()).hexdigest()
    assert digest == "5d03aa84c979c46502eba64e233f08845630485ba2680e47433b420c4202c697"


@needs_data
def test_the_sample_is_what_an_installed_nltk_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pytest.importorskip("nltk.data")
    reader = pytest.importorskip("nltk.corpus.reader")
    assert list(map(str, treebank.nltk_folders())) == data.path
    with zipfile.ZipFile(REAL / "ptb_nltk" / "corpora" / "treebank.zip") as archive:
        archive.extractall(tmp_path / "corpora")
    monkeypatch.setattr(data, "path", [str(tmp_path)])  # NLTK opens no file outside its data folders
    theirs = reader.BracketParseCorpusReader(str(tmp_path / "corpora" / "treebank" / "combined"), r"wsj_.*\.mrg")
    few = theirs.fileids()[:40]  # all of them are in the digest above
    ours = treebank.documents(REAL / "ptb_nltk")[:40]
    assert ours == [[[(tag, word) for word, tag in sentence] for sentence in theirs.tagged_sents(file)] for file in few]


@needs_data
def test_no_document_is_in_both_parts() -> None:
    documents = treebank.documents(REAL / "ptb_nltk")
    assert len(documents) == 199
    tables = treebank.tables(REAL / "ptb_nltk", tasks.TREEBANK)
    task = tasks.get("ptb")
    read = {split: rows.check(task, split, table) for split, table in tables.items()}
    held = {tuple(words) for words in read["validation"].columns["tokens"]}
    whole = [{tuple(word for _, word in sentence) for sentence in document} for document in documents]
    assert sum(sentences <= held for sentences in whole) == 40
    assert {split: len(part) for split, part in read.items()} == {"train": 3247, "validation": 667}
    assert rows.differences(task, read) == ()
    assert len(task.labels) == 46
