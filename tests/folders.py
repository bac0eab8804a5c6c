"""A small BERT in a folder, as transformers saves one, whose tokenizer knows the words of the demo task."""

import json
import re
from pathlib import Path
from typing import Any

from peftcli.tasks import demo

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "initializer_range": 0.2,  # ten times the usual: wide enough that a few steps do not end in one answer
}


def words() -> list[str]:
    """Every word and sign of the demo task, in lower case, in one order."""
    sentences = [
        row[column] for split in demo.SIZES for row in demo.rows(split) for column in ("sentence1", "sentence2")
    ]
    return sorted({word for sentence in sentences for word in re.findall(r"\w+|[^\w\s]", sentence.lower())})


def bert(folder: Path, seed: int = 0, **sizes: Any) -> Path:
    """Write config.json, model.safetensors and a word-piece tokenizer; `sizes` replace the config's numbers.

    The same seed gives the same bytes. The folder's name is the model's name in run ids.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    vocabulary = [*SPECIAL, *words()]
    config = BertConfig(**{**SIZES, "vocab_size": len(vocabulary), **sizes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        weights = BertModel(config).state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _tokenizer(folder, vocabulary)
    return folder


def _tokenizer(folder: Path, vocabulary: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: at for at, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    about = {"tokenizer_class": "BertTokenizer", "model_max_length": 40, "do_lower_case": True, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))


def recipe(file: Path, model: Path, **changes: Any) -> Path:
    """Write a recipe on the demo task that trains in seconds: three strategies, two rates, two seeds, two epochs."""
    document: dict[str, Any] = {
        "title": "small",
        "model": str(model),
        "tasks": ["demo"],
        "strategies": ["layernorm", "bitfit", "full"],
        "learning_rates": [1e-3, 5e-3],
        "seeds": [0, 1],
        "training": {"epochs": 2, "batch_size": 8, "max_train_samples": 64, "max_length": 32},
        "table": {"rows": "strategy", "columns": "task", "cell": "mean±std", "select": "best learning rate by mean"},
        **changes,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))  # JSON is YAML
    return file
