"""What a recipe reads, and whether it is there without a network: the model's files, its tokenizer, every task's data."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peftcli.data import corpora, loading, tokenizers
from peftcli.errors import UserError
from peftcli.experiment.recipe import Entry, Recipe
from peftcli.models import catalogue, hub
from peftcli.models.files import WEIGHTS, locate
from peftcli.tasks import own_data
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
    from safetensors import safe_open

    try:
        source = locate(model)
        config, weights = _file(source, "config.json"), [f for name in WEIGHTS if (f := _file(source, name))]
        if config is None or not weights:
            return Item("model", model, False, "not in the local hub cache")
        for shard in _shards(source, weights[0]):
            if shard is None:
                return Item("model", model, False, f"not all files that {weights[0].name} names are there")
            if shard.suffix == ".safetensors":
                with safe_open(shard, "pt") as opened:  # refuses a file that is cut short
                    opened.keys()
    except UserError as error:
        return Item("model", model, False, str(error))
    except Exception as error:  # a damaged file: the library has its own kinds
        return Item("model", model, False, f"damaged: {str(error).partition(chr(10))[0][:200]}")
    return Item("model", model, True, str(config.parent))


def _shards(source: str, weights: Path) -> list[Path | None]:
    """The files that hold the weights, None for one that is not there; an index of shards names several."""
    if weights.suffix != ".json":
        return [weights]
    names = sorted(set(json.loads(weights.read_text())["weight_map"].values()))
    return [_file(source, name) for name in names]


def _file(source: str, name: str) -> Path | None:
    """Find a model's file in its folder or in the local hub cache."""
    if Path(source).is_dir():
        return Path(source) / name if (Path(source) / name).is_file() else None
    return hub.cached_file(source, name)


def _tokenizer(model: str, kind: tasks.Kind) -> Item:
    try:
        tokenizers.load(locate(model), kind)
    except UserError as error:
        return Item("tokenizer", model, False, str(error))
    return Item("tokenizer", model, True, "loads without a network")


def _data(recipe: Recipe, name: str, entry: Entry, data_dir: Path | None) -> Item:
    described = bool(entry.options)  # a task of the user's own, which the recipe describes
    on_hub = not described and data_dir is None and corpora.on_hub(tasks.get(name))
    try:
        folder = own_data.location(recipe.path, entry.options) if described else corpora.data_folder(data_dir)
        corpus = loading.read(task(recipe, name, entry), folder)
    except UserError as error:
        return Item("data", name, False, str(error), on_hub)
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in corpus.rows.items())
    return Item("data", name, True, f"{sizes} ({folder or 'local cache'})", on_hub)
