"""Filling the hub's local cache with all that a recipe reads, for a node without a network."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftcli.data import corpora
from peftcli.errors import UserError
from peftcli.experiment.recipe import Recipe
from peftcli.models import catalogue, hub
from peftcli.models.files import fetch_model, fetch_repository
from peftcli.tasks import registry as tasks

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens


@dataclass(frozen=True)
class Fetched:
    """A repository in the local cache: the revision asked for, the commit that it was, files and bytes of it."""

    kind: str
    name: str
    revision: str
    commit: str
    files: int
    bytes: int


def fetch(recipe: Recipe, data_dir: Path | None) -> list[Fetched]:
    """Download the recipe's model, tokenizer and data that are neither packaged nor in a folder. Raises UserError."""
    folder = corpora.data_folder(data_dir)
    repositories = {} if folder else _data_sets(recipe)
    wanted = [*([recipe.model] if not catalogue.is_local(recipe.model) else []), *repositories]
    if wanted and not hub.reachable():
        raise UserError(f"prefetch needs a network for {', '.join(wanted)}: {_endpoint()} does not answer")
    found = [_fetch_model(recipe.model)] if not catalogue.is_local(recipe.model) else []
    return found + [_fetch_data(name, patterns) for name, patterns in repositories.items()]


def check(arguments: Sequence[str]) -> dict[str, Any]:
    """Run `peftcli doctor` with these arguments in a process that has no network, and give what it says.

    Raises UserError where it cannot say anything.
    """
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    off = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_ENDPOINT": NOWHERE}
    command = [sys.executable, "-m", "peftcli", "doctor", *arguments, "--json"]
    done = subprocess.run(command, env={**clean, **off}, capture_output=True, text=True)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise UserError(f"the check without a network failed: {last}") from None
    return found


def _data_sets(recipe: Recipe) -> dict[str, list[str]]:
    """Name the recipe's data sets on the hub, with the patterns of their files, test splits and all."""
    found: dict[str, list[str]] = {}
    for name, entry in recipe.tasks:
        if entry.options or not corpora.on_hub(tasks.get(name)):
            continue
        task = tasks.get(name)
        splits = dict.fromkeys(["train", *task.evaluation, *task.sizes])
        found.setdefault(task.data, []).extend(corpora.patterns(task, list(splits)))
    return found


def _fetch_model(model: str) -> Fetched:
    name, commit = catalogue.pin(model)
    return _describe("model", name, commit, fetch_model(name, commit))


def _fetch_data(repository: str, patterns: Sequence[str]) -> Fetched:
    revision = corpora.CONVERTED.get(repository)
    return _describe("data", repository, revision, fetch_repository("dataset", repository, revision, patterns))


def _describe(kind: str, name: str, revision: str | None, folder: Path) -> Fetched:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return Fetched(kind, name, revision or "main", folder.name, len(files), sum(file.stat().st_size for file in files))


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT) if not constants.HF_HUB_OFFLINE else "HF_HUB_OFFLINE is set, so the hub"
