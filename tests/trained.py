"""Small runs trained on a processor in a second or two, with their records and deltas; and small data of one's own."""

import json
import shutil
from pathlib import Path
from typing import Any

from peftcli.deltas import file as deltas
from peftcli.experiment import plan, recipe
from peftcli.models.decoders import DECODERS
from peftcli.records import Record, beside
from peftcli.runner import grouping, sweep, work
from peftcli.runner.work import SweepSettings
from peftcli.tasks import demo, own_data
from tests import backbones, folders, tiny, tokenizers_of_decoders

EXTRA: dict[str, dict[str, Any]] = {
    "roberta": {"type_vocab_size": 1, "pad_token_id": 0},
    "xlm-roberta": {"type_vocab_size": 1, "pad_token_id": 0},
    "electra": {"embedding_size": 8, "type_vocab_size": 2},
    "albert": {"embedding_size": 8, "type_vocab_size": 2},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8},
}


class Quiet:
    """A progress that shows nothing."""

    def begin(self, cohort: object) -> None: ...

    def watch(self, *_: Any) -> None: ...

    def end(self, *_: Any) -> None: ...


def model(folder: Path, family: str = "bert") -> Path:
    """Write a small random model of a family, with the demo task's tokenizer."""
    from transformers import AutoTokenizer

    if family in DECODERS:
        return _decoder(folder, family)
    bert = folders.bert(folder.with_name(f"{folder.name}-words"))
    if family == "bert":
        return Path(shutil.copytree(bert, folder, dirs_exist_ok=True))
    tokenizer = AutoTokenizer.from_pretrained(bert)
    sizes = {"initializer_range": 0.2, "vocab_size": len(tokenizer), "pad_token_id": 0, "max_position_embeddings": 48}
    if family == "distilbert":
        sizes |= {"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2}
    import torch

    made = tiny.stock(family, torch.float32, **{**sizes, **EXTRA.get(family, {})})
    made.save_pretrained(folder)  # type: ignore[operator]
    shutil.copy(bert / "tokenizer.json", folder)
    about = json.loads((bert / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(about | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def _decoder(folder: Path, family: str) -> Path:
    import torch

    name = {"llama": "llama 3", "gemma3_text": "gemma"}.get(family, family)
    tokenizers_of_decoders.write(folder, name)
    config = json.loads((folder / "config.json").read_text())
    del config["model_type"]
    sizes = backbones.CONFIGS[family][1] | {
        "initializer_range": 0.2,
        "pad_token_id": None,
        "max_position_embeddings": 128,
    }
    sizes.pop("n_positions", None)
    made = tiny.stock(family, torch.float32, **sizes | config)
    made.save_pretrained(folder)  # type: ignore[operator]
    return folder


def train(folder: Path, base: Path, strategy: Any, task: Any = "demo", cohort: int = 3, **changes: Any) -> list[Record]:
    """Train a strategy (a recipe's entry) and give its records, a delta beside each."""
    data_dir = changes.pop("data_dir", None)
    document = {"strategies": [strategy], "tasks": [task], "learning_rates": [5e-3], "seeds": [0], **changes}
    training = {"epochs": 1, "batch_size": 8, "max_train_samples": 32, "max_length": 32} | document.pop("training", {})
    file = folders.recipe(folder / "recipe.yaml", base, training=training, **document)
    found = recipe.load(file)
    runs = [planned.run for planned in plan.expand(found)]
    described = own_data.locations(found.path, [(name, entry.options) for name, entry in found.tasks])
    settings = SweepSettings(
        found.model, folder / "results", data_dir, data_dir is not None, save_delta=True, own_data=described
    )
    settings.output.mkdir(exist_ok=True)
    groups = grouping.cohorts(runs, settings, cohort)
    progress: Any = Quiet()
    return sweep.train(work.WorkUnit(tuple(groups), frozenset(run.id for run in runs)), settings, progress)


def delta(record: Record) -> deltas.Delta:
    """Read the delta beside a record."""
    assert record.status == "completed", record.body["error"]
    return deltas.read(beside.delta(record.path))


def rows(split: str, count: int) -> list[dict[str, Any]]:
    """Some of the demo task's rows, their labels as words, with a number and words with labels beside."""
    found = []
    for row in demo.rows(split)[:count]:
        words = row["sentence1"].rstrip(".").split()
        tags = ["B-WHO" if word[0].isupper() else "O" for word in words]
        length = len(row["sentence2"].split()) / 2
        found.append({**row, "y": demo.LABELS[row["label"]], "score": length, "words": words, "tags": tags})
    return found


def write_rows(folder: Path, counts: dict[str, int] | None = None) -> Path:
    """Write train and validation files of those rows as JSON lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (counts or {"train": 48, "validation": 24}).items():
        lines = "".join(f"{json.dumps(row)}\n" for row in rows(split, count))
        (folder / f"{split}.jsonl").write_text(lines)
    return folder
