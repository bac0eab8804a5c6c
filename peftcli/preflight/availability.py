"""What can be refused within a second, before anything heavy is imported: a model that cannot be had."""

from pathlib import Path

from peftcli.errors import UserError
from peftcli.models import catalogue, hub
from peftcli.models.files import WEIGHTS


def check_model(model: str) -> None:
    """Check that a model is a folder with weights, packaged, in the local hub cache, or that the hub can be asked."""
    if model == "minilm":
        catalogue.minilm_folder()
        return
    folder = Path(model).expanduser()
    if folder.is_dir() or catalogue.looks_like_path(model):
        catalogue.config(model)
        if not any((folder / name).is_file() for name in WEIGHTS):
            raise UserError(f"model folder {model!r} holds no weights: one of {', '.join(WEIGHTS)}")
        return
    # The cache first: asking the hub takes a second or, where packets are dropped, several.
    unpinned, commit = catalogue.pin(model)
    cached = any(hub.cached_file(unpinned, name, commit) for name in WEIGHTS)
    if not cached and not hub.reachable():
        raise UserError(
            f"model {model!r} is not in the local hub cache, and the hub cannot be reached: {catalogue.OFFLINE_HELP}"
        )
