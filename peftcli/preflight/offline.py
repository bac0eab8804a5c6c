"""What a recipe reads, and whether it is there without a network: the model's files, its tokenizer, every task's data."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peftcli.data import corpora, loading, tokenizers
from peftcli.errors import UserError
from peftcli.experiment.recipe import Entry, Recipe
from peftcli.models import catalogue, fitting, hub, weights
from peftcli.models.files import locate
from peftcli.tasks import imported_only, own_data
from peftcli.tasks import registry as tasks


@dataclass(frozen=True)
class Item:
    """One thing a recipe reads: whether it is there without a network, and where, or what is wrong.

    `on_hub`: where it is not there, a machine with a network fetches it.
    """

    kind: str  # model, tokenizer or data
    name: str
    ready: bool
    where: str
    on_hub: bool = True


def check(recipe: Recipe, data_dir: Path | None) -> list[Item]:
    """Read the model's files, the tokenizer and every task's data with the network off, and say what is there."""
    kinds = {
        tasks.TASKS[name].kind if name in tasks.TASKS else entry.options.get("kind") for name, entry in recipe.tasks
    }
    on_hub = not catalogue.is_local(recipe.model)
    with _without_network():
        # A token task asks more of a tokenizer than any other: the characters that its tokens come from.
        model = [_weights(recipe.model), _tokenizer(recipe.model, "token" if "token" in kinds else "pair")]
        items = [replace(item, on_hub=on_hub) for item in model]
        return items + [_data(recipe, name, entry, data_dir) for name, entry in recipe.tasks]


def is_missing(item: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Say whether an item of `ready` is not there and will not be fetched either."""
    return not item["ready"] and not (item["on_hub"] and here["hub_reachable"])


def task(recipe: Recipe, name: str, entry: Entry) -> tasks.Task:
    """A recipe's task: a row of `tasks`, or the one the recipe describes. Raises UserError."""
    return own_data.task(name, own_data.describe(recipe.path, name, entry.options) if entry.options else None)


@contextlib.contextmanager
def _without_network() -> Iterator[None]:
    hub.reachable.cache_clear()  # asked once per process: what it said with a network does not hold here, nor after
    try:
        with hub.offline():
            yield
    finally:
        hub.reachable.cache_clear()


def _weights(model: str) -> Item:
    try:
        folder = weights.folder(model)
        if folder is None or not (catalogue.is_local(model) or weights.are_in(folder)):
            return Item("model", model, False, "not in the local hub cache")
        fitting.check(model, catalogue.read_config(folder / "config.json"), folder)
    except UserError as error:
        return Item("model", model, False, str(error))
    return Item("model", model, True, str(folder))


def _tokenizer(model: str, kind: tasks.Kind) -> Item:
    try:
        tokenizers.load(locate(model), kind)
    except UserError as error:
        return Item("tokenizer", model, False, str(error))
    return Item("tokenizer", model, True, "loads without a network")


def _data(recipe: Recipe, name: str, entry: Entry, data_dir: Path | None) -> Item:
    if imported_only.KEY in entry.options:
        return Item("data", name, True, "none: its runs are imported", on_hub=False)
    described = bool(entry.options)  # a task of the user's own, which the recipe describes
    on_hub = not described and data_dir is None and corpora.on_hub(tasks.get(name))
    try:
        folder = own_data.location(recipe.path, entry.options) if described else corpora.data_folder(data_dir)
        corpus = loading.read(task(recipe, name, entry), folder)
    except UserError as error:
        return Item("data", name, False, str(error), on_hub)
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in corpus.rows.items())
    return Item("data", name, True, f"{sizes} ({folder or 'local cache'})", on_hub)
