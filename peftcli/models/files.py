"""A hub model's files in the local cache: which of them are read, and the folder that holds them at one commit."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peftcli import files
from peftcli.errors import UserError
from peftcli.models import catalogue, hub

# What a model is read from: its config, its tokenizer, and safetensors where there are any.
READ = ("config.json", "tokenizer*", "vocab*", "merges.txt", "*.model", "special_tokens_map.json", "added_tokens.json")
SAFETENSORS = ("model*.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
# Any of these files, the first that is there, says that a folder or a cache has a model's weights.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def at_commit(name: str, commit: str) -> Path:
    """The folder with a model's files at a commit, fetched where they are not in the local cache.

    Raises UserError where they cannot be had.
    """
    folder = cached(name, commit)
    if folder is not None:
        return folder
    if not hub.reachable():
        raise UserError(f"model {name!r} at {commit} is not in the local hub cache: {catalogue.OFFLINE_HELP}")
    return fetch_model(name, commit)


def cached(name: str, commit: str) -> Path | None:
    """The folder with a model's config, weights and tokenizer at a commit, None where one of them is not there."""
    config = hub.cached_file(name, "config.json", commit)
    if config is None:
        return None
    folder = config.parent
    # A download that was cut short leaves the config alone, which comes first.
    weights = any(list(folder.glob(pattern)) for pattern in (SAFETENSORS[0], PICKLED[0]))
    tokenizer = any(list(folder.glob(pattern)) for pattern in ("tokenizer.json", "vocab*", "*.model"))
    return folder if weights and tokenizer else None


def fetch_model(name: str, revision: str | None) -> Path:
    """Download a model's config, tokenizer and weights, safetensors where there are any, and give their folder.

    Raises UserError where the hub's client fails.
    """
    # Two rounds, since many repositories have the same weights in both formats.
    folder = fetch_repository("model", name, revision, [*READ, *SAFETENSORS])
    if not (folder / "config.json").is_file():
        raise _without_config(name)
    if not list(folder.glob("model*.safetensors")):
        folder = fetch_repository("model", name, revision, [*READ, *PICKLED])
    return folder


def fetch_repository(kind: str, name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download the files of a repository (`model` or `dataset`) that fit the patterns, and give their folder.

    Raises UserError where the hub's client fails.
    """
    from huggingface_hub import snapshot_download

    print(f"fetching {kind} {name}", file=sys.stderr)
    try:
        with contextlib.nullcontext() if sys.stderr.isatty() else hub.quiet():
            return Path(snapshot_download(name, repo_type=kind, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # its client, and what that is built on, raise many kinds
        raise UserError(hub.refusal("model" if kind == "model" else "data set", name, error)) from None


def locate(model: str) -> str:
    """What transformers loads a model by: a folder, or a hub id. Checks the packaged model's checksum.

    A model that is pinned to a commit is a folder of the local hub cache, fetched where it is not there.
    """
    if model == "minilm":
        folder = catalogue.minilm_folder()
        # A package can be rebuilt with other weights under the same version; a run's name would not show it.
        if files.sha256(folder / "model.safetensors") != catalogue.MINILM_SHA256:
            raise UserError(
                f"{folder / 'model.safetensors'} is not the published all-MiniLM-L6-v2: reinstall the package"
            )
        return str(folder)
    path = Path(model).expanduser()
    if path.is_dir():
        return str(path)
    if catalogue.looks_like_path(model):
        raise UserError(f"model folder {model!r} does not exist")
    name, commit = catalogue.pin(model)
    return model if commit is None else str(at_commit(name, commit))


def at_hand(model: str) -> Path:
    """The folder with a model's files on this machine, whatever they hold; no network is asked. Raises UserError."""
    if model == "minilm":
        return catalogue.minilm_folder()
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if catalogue.looks_like_path(model):
        raise UserError(f"model folder {model!r} does not exist")
    name, commit = catalogue.pin(model)
    config = hub.cached_file(name, "config.json", commit)
    if config is None:
        raise UserError(f"model {model!r} is not in the local hub cache")
    return config.parent


def fetch_config(model: str) -> dict[str, Any]:
    """A model's config numbers, a hub model's downloaded where they are not in the cache.

    Raises UserError, at once where there is no network.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    source = locate(model)
    try:
        return catalogue.config(model)
    except UserError:
        if Path(source).is_dir() or not hub.reachable():
            raise
    try:
        with hub.quiet():
            hf_hub_download(source, "config.json")
    except RemoteEntryNotFoundError:
        raise _without_config(model) from None
    except Exception as error:  # its client, and what that is built on, raise many kinds
        raise UserError(hub.refusal("model", model, error)) from None
    return catalogue.config(model)


def _without_config(model: str) -> UserError:
    return UserError(f"model {model!r} has no config.json on the hub: its files are not in the format of transformers")
