"""What is offered while a command is typed, from the program's own lists: strategies, tasks, recipes, settings. No torch.

Each function answers the command-line library's question for one kind of argument: given the command so far and the
beginning of a word, what may the word be? It returns whole words, and may return more than begin so.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

FORMATS = (
    "terminal",
    "markdown",
    "latex",
    "csv",
    "json",
    "html",
)  # the report's own list takes its libraries to import
LAUNCHERS = ("local", "accelerate", "slurm")
Completer = Callable[[typer.Context, str], list[str]]


def of(*words: str) -> Completer:
    """Return what offers a few words."""

    # No lambda: the library passes by the types of the arguments.
    def offer(context: typer.Context, incomplete: str) -> list[str]:
        return list(words)

    return offer


def strategies(context: typer.Context, incomplete: str) -> list[str]:
    """Offer strategies, and behind a colon the options of one, `layernorm:layers=3`, and their values."""
    from peftcli.strategies import STRATEGIES

    name, colon, _ = incomplete.partition(":")
    if not colon or name not in STRATEGIES:
        return sorted(STRATEGIES)
    options = STRATEGIES[name].option_model.model_json_schema()["properties"]
    *done, last = incomplete.removeprefix(f"{name}:").split(",")
    before = incomplete.removesuffix(last)
    left = {option: said for option, said in options.items() if option not in {each.partition("=")[0] for each in done}}
    return [before + each for each in _pairs(left, lambda option: _legal(left[option]), last)]


def tasks(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the tasks of the registry."""
    from peftcli.tasks.registry import TASKS

    return list(TASKS)


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the models whose names are known without a network."""
    from peftcli.models.published import PUBLISHED_SIZES

    return list(PUBLISHED_SIZES)


def recipes(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the recipes that come with the program, and YAML files of the folder that is typed."""
    from peftcli.experiment.recipe import PROTOCOL, shipped

    folder = incomplete.rpartition("/")[0]
    files = sorted(Path(folder or ".").glob("*.yaml"))
    prefix = incomplete[: incomplete.rfind("/") + 1]  # as it is typed: ./ too
    return [*shipped(), *(prefix + file.name for file in files if file.name != PROTOCOL)]


def settings(context: typer.Context, incomplete: str) -> list[str]:
    """Offer `setting=`, and where one is left its values; of a recipe its keys too."""
    from peftcli.experiment.plan import defaults
    from peftcli.experiment.recipe import KEYS
    from peftcli.experiment.settings import Training

    usual = defaults()
    schemas = Training.model_json_schema()["properties"]
    said = {name: {**schema, "default": usual.get(name)} for name, schema in schemas.items()}
    # A command that takes no recipe makes one of its arguments, whose settings alone can be set.
    of_recipe = KEYS if any(parameter.name == "recipe" for parameter in context.command.params) else ()
    return list(_pairs([*said, *of_recipe], lambda name: _legal(said.get(name, {})), incomplete))


def only(context: typer.Context, incomplete: str) -> list[str]:
    """Offer `task=`, `strategy=` and so on, and their values in the recipe that is typed."""
    from peftcli.experiment import plan, recipe

    # Where an option still waits for its value, the library leaves what stands before it unread.
    name = context.params.get("recipe") or next(iter(context.args), None)

    def values(key: str) -> list[str]:
        if not name:
            return []
        runs = [planned.run for planned in plan.expand_readable(recipe.load(recipe.find(name)))[0]]
        return [str(value) for value in dict.fromkeys(getattr(run, key) for run in runs)]

    return list(_pairs(dict.fromkeys(plan.ONLY), values, incomplete))


def deltas(context: typer.Context, incomplete: str) -> list[str]:
    """Offer saved deltas: below `results`, or below the folder that is typed, in its folders of tasks."""
    from peftcli.records.beside import DELTA

    folder = incomplete.rpartition("/")[0] or "results"
    files = [file for pattern in (f"*{DELTA}", f"*/*{DELTA}") for file in sorted(Path(folder).glob(pattern))]
    return list(map(str, files))


def trackers(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the trackers of curves."""
    from peftcli.runner.tracking import TRACKERS

    return list(TRACKERS)


def columns(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the words that a column of an imported table may stand for."""
    from peftcli.importing.header import LEGAL

    return [f"{word}=" for word in LEGAL]


def _pairs(keys: Iterable[str], values: Callable[[str], Iterable[str]], incomplete: str) -> Iterator[str]:
    """Yield `key=` for the keys that begin so; where one alone does, its `key=value` too.

    Of several words a shell writes what they have in common: behind a lone `key=` it would write a space.
    """
    key, equals, _ = incomplete.partition("=")
    begun = [each for each in keys if each == key or (not equals and each.startswith(key))]
    yield from (f"{each}=" for each in begun if not equals)
    if len(begun) == 1:
        yield from (f"{begun[0]}={value}" for value in values(begun[0]))


def _legal(said: Mapping[str, Any]) -> list[str]:
    """The values of an option or setting where they are few, else one: its default, or the least that it may be."""
    kinds = [said, *said.get("anyOf", ())]
    kinds += [kind["items"] for kind in kinds if "items" in kind]
    few = [value for kind in kinds for value in (*kind.get("enum", ()), *([kind["const"]] if "const" in kind else ()))]
    few += [value for kind in kinds if kind.get("type") == "boolean" for value in (True, False)]
    one = [value for value in (said.get("default"), *(kind.get("minimum") for kind in kinds)) if value is not None]
    return [_word(value) for value in few or one[:1]]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
