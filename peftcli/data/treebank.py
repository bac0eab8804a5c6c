"""The Penn Treebank sample that NLTK distributes: the tagged sentences of 199 documents, split by document."""

import os
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.errors import UserError
from peftcli.seeds import generator

if TYPE_CHECKING:
    import pyarrow as pa

HELD_OUT = 40  # of the 199 documents
LEAF = re.compile(r"\(([^\s()]+) ([^\s()]+)\)")  # (tag word)
SENTENCE = re.compile(
    r"^\(", re.MULTILINE
)  # a bracket in a line's first column opens a sentence, and nothing else does

Sentence = list[tuple[str, str]]  # of (tag, word)


def tables(folder: Path | None, labels: Sequence[str]) -> "dict[str, pa.Table]":
    """Read the sample and split it: `HELD_OUT` documents, drawn with seed 0, are `validation`, the rest `train`.

    `folder` is searched before NLTK's data folders; in either, `corpora/treebank` may be a folder or a zip file. The
    columns are `tokens` and `tags` (indices into `labels`), with the empty elements (-NONE-) that NLTK's tagged
    sentences contain too. Raises UserError where the sample is missing or cannot be read.
    """
    sample = documents(folder)
    order = generator(0, "ptb/documents").permutation(len(sample)).tolist()
    held_out = set(order[:HELD_OUT])
    splits: dict[str, list[Sentence]] = {"train": [], "validation": []}
    for number, sentences in enumerate(sample):
        splits["validation" if number in held_out else "train"] += sentences
    return {split: _table(sentences, labels) for split, sentences in splits.items()}


def documents(folder: Path | None) -> list[list[Sentence]]:
    """Return the sentences of each document, the documents in the order of their names."""
    sample = _find(folder)
    try:
        if sample.suffix == ".zip":
            with zipfile.ZipFile(sample) as archive:
                names = sorted(filter(re.compile(r".*/combined/wsj_[0-9]+\.mrg").fullmatch, archive.namelist()))
                texts = [archive.read(name).decode("ascii") for name in names]
        else:
            texts = [file.read_text("ascii") for file in sorted((sample / "combined").glob("wsj_*.mrg"))]
    # zipfile raises RuntimeError for an encrypted member, and ValueError or EOFError for some damaged ones
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"cannot read the treebank sample {sample}: {error}") from None
    # A document's text before its first sentence is white space.
    return [[LEAF.findall(sentence) for sentence in SENTENCE.split(text)[1:]] for text in texts]


def files(folder: Path | None) -> list[Path]:
    """Return the files that the sample is read from: its documents, or one zip file. Raises UserError."""
    sample = _find(folder)
    return [sample] if sample.suffix == ".zip" else sorted((sample / "combined").glob("wsj_*.mrg"))


def _table(sentences: list[Sentence], labels: Sequence[str]) -> "pa.Table":
    import pyarrow as pa

    index = {label: number for number, label in enumerate(labels)}
    strangers = {tag for sentence in sentences for tag, _ in sentence} - set(index)
    if strangers:
        raise UserError(f"task ptb: tag {min(strangers)!r} is none of the sample's: {', '.join(labels)}")
    tokens = [[word for _, word in sentence] for sentence in sentences]
    tags = [[index[tag] for tag, _ in sentence] for sentence in sentences]
    return pa.table({"tokens": pa.array(tokens, pa.list_(pa.string())), "tags": pa.array(tags, pa.list_(pa.int64()))})


def _find(folder: Path | None) -> Path:
    """Return the first of the sample's folders and zip files that is there."""
    for root in ([folder] if folder else []) + nltk_folders():
        corpus = root / "corpora" / "treebank"
        if (corpus / "combined").is_dir():
            return corpus
        if corpus.with_suffix(".zip").is_file():
            return corpus.with_suffix(".zip")
    where = f"{folder} or " if folder else ""
    raise UserError(
        f"task ptb: the treebank sample (corpora/treebank or treebank.zip) is not in {where}NLTK's data folders: "
        "`pip install nltk && python -m nltk.downloader treebank` gets it, or --data-dir D with "
        "D/ptb_nltk/corpora/treebank.zip"
    )


def nltk_folders() -> list[Path]:
    """Return the folders that NLTK keeps its data in, in the order in which it searches them (`nltk.data.path`)."""
    chosen = [folder for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    prefixes = [sys.prefix, f"{sys.prefix}/share", f"{sys.prefix}/lib"]
    prefixes += ["/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib"]
    return [Path(folder).expanduser() for folder in (*chosen, *(f"{prefix}/nltk_data" for prefix in ("~", *prefixes)))]
