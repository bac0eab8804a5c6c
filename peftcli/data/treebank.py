"""The Penn Treebank sample that comes with NLTK: tagged sentences of 199 documents, split by document."""

import io
import re
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
SENTENCE = re.compile(r"^\(", re.MULTILINE)  # every bracket at the start of a line opens one

Sentence = list[tuple[str, str]]  # of (tag, word)


def tables(folder: Path | None, labels: Sequence[str]) -> "dict[str, pa.Table]":
    """Read the sample and split it: `HELD_OUT` documents, drawn with seed 0, are `validation`, the rest `train`.

    `folder` is looked in before NLTK's own data path; `corpora/treebank` may be a zip file in either. Columns: `tokens`
    and `tags` (places in `labels`), as NLTK's tagged sentences have them, empty elements (-NONE-) and all.
    Raises UserError where the sample is not there or cannot be read.
    """
    documents = [_sentences(text) for text in _documents(_find(folder))]
    order = generator(0, "ptb/documents").permutation(len(documents)).tolist()
    held_out = set(order[:HELD_OUT])
    parts: dict[str, list[Sentence]] = {"train": [], "validation": []}
    for place, sentences in enumerate(documents):
        parts["validation" if place in held_out else "train"] += sentences
    return {split: _table(sentences, labels) for split, sentences in parts.items()}


def _table(sentences: list[Sentence], labels: Sequence[str]) -> "pa.Table":
    import pyarrow as pa

    places = {label: place for place, label in enumerate(labels)}
    odd = {tag for sentence in sentences for tag, _ in sentence} - set(places)
    if odd:
        raise UserError(f"task ptb: tag {min(odd)!r} is none of the sample's: {', '.join(labels)}")
    tokens = [[word for _, word in sentence] for sentence in sentences]
    tags = [[places[tag] for tag, _ in sentence] for sentence in sentences]
    columns = {"tokens": pa.array(tokens, pa.list_(pa.string())), "tags": pa.array(tags, pa.list_(pa.int64()))}
    return pa.table(columns)


def _sentences(text: str) -> list[Sentence]:
    return [LEAF.findall(part) for part in SENTENCE.split(text)[1:]]


def _documents(root: Path) -> list[str]:
    """Read the documents, in the order of their names, from a folder or a zip file."""
    try:
        if root.suffix == ".zip":
            return _zipped(root)
        return [path.read_text("ascii") for path in sorted((root / "combined").glob("wsj_*.mrg"))]
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"cannot read the treebank sample {root}: {error}") from None


def _zipped(path: Path) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        names = sorted(name for name in archive.namelist() if re.search(r"/combined/wsj_[0-9]+\.mrg$", name))
        return [archive.read(name).decode("ascii") for name in names]


def _find(folder: Path | None) -> Path:
    found = (folder and _within(folder)) or next(filter(None, map(_within, _nltk_folders())), None)
    if found is not None:
        return found
    where = f"{folder} or " if folder else ""
    raise UserError(
        f"task ptb: the treebank sample (corpora/treebank or treebank.zip) is not in {where}NLTK's data folders: "
        "`python -m nltk.downloader treebank` gets it, or --data-dir D with D/ptb_nltk/corpora/treebank.zip"
    )


def _within(root: Path) -> Path | None:
    folder, archive = root / "corpora" / "treebank", root / "corpora" / "treebank.zip"
    return folder if (folder / "combined").is_dir() else archive if archive.is_file() else None


def _nltk_folders() -> list[Path]:
    from nltk import data  # a second's work, so only where it is needed

    return [Path(folder) for folder in data.path]
