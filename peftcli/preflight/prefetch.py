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
        from huggingface_hub import constants

        endpoint = "HF_HUB_OFFLINE is set, so the hub" if constants.HF_HUB_OFFLINE else str(constants.ENDPOINT)
        raise UserError(f"prefetch needs a network for {', '.join(wanted)}: {endpoint} does not answer")
    fetched = []
    if not catalogue.is_local(recipe.model):
        name, commit = catalogue.pin(recipe.model)
        fetched.append(_describe("model", name, commit, fetch_model(name, commit)))
    for name, patterns in repositories.items():
        revision = corpora.CONVERTED.get(name)  # where the hub converts the files, they are on a branch of their own
        fetched.append(_describe("data", name, revision, fetch_repository("dataset", name, revision, patterns)))
    return fetched


def check(arguments: Sequence[str]) -> dict[str, Any]:
    """What `peftcli doctor` finds, given these arguments, in a process without a network.

    Raises UserError where it ends without an answer.
    """
    # Libraries read these variables when they are imported, so that only a new process is sure to obey them. The
    # endpoint leads nowhere for code that does not look at them; a proxy would lead around that.
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    off = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_ENDPOINT": NOWHERE}
    command = [sys.executable, "-m", "peftcli", "doctor", *arguments, "--json"]
    done = subprocess.run(command, env={**clean, **off}, capture_output=True, text=True)
    try:
        findings: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise UserError(f"the check without a network failed: {last}") from None
    return findings


def _data_sets(recipe: Recipe) -> dict[str, list[str]]:
    """The recipe's data sets on the hub, each with the patterns of its files, test splits included."""
    patterns: dict[str, list[str]] = {}
    for name, entry in recipe.tasks:
        if entry.options or not corpora.on_hub(tasks.get(name)):
            continue
        task = tasks.get(name)
        splits = dict.fromkeys(["train", *task.evaluation, *task.sizes])
        patterns.setdefault(task.data, []).extend(corpora.patterns(task, list(splits)))
    return patterns


def _describe(kind: str, name: str, revision: str | None, folder: Path) -> Fetched:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return Fetched(kind, name, revision or "main", folder.name, len(files), sum(file.stat().st_size for file in files))
