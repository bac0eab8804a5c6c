"""The JSON Schema of a recipe, for editors and other programs: `peftcli schema`. Made from the models that check recipes."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

import peftcli.strategies  # noqa: F401  (fills the registry)
from peftcli.experiment.recipe import KEYS, Entry, Recipe
from peftcli.experiment.settings import Training
from peftcli.report.claims.spec import claim_model
from peftcli.report.figures import spec as figures
from peftcli.report.table.spec import View
from peftcli.strategies import registry
from peftcli.tasks import imported_only
from peftcli.tasks.own_data import Description
from peftcli.tasks.registry import TASKS

Schema = dict[str, Any]


class _Untitled(GenerateJsonSchema):
    """Leave out the titles that pydantic makes of names: they say nothing that the names do not say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No field has a title."""
        return False


def recipe_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a recipe as it is written: every key, its type, range and meaning.

    It knows each setting, option, figure and claim by itself; what only holds of several together (an average needs
    columns over tasks alone, a seed stands once) is checked when the recipe is read.
    """
    recipe = _of(Recipe, {})["properties"]
    # Seeds, tasks and strategies can be written in more ways than the models hold them.
    seeds = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100_000}, recipe["seeds"]]}
    written: dict[str, Schema] = {
        "tasks": {"type": "array", "minItems": 1, "items": _to("task")},
        "strategies": {"type": "array", "minItems": 1, "items": _to("strategy")},
        "seeds": seeds,
        "training": _to("training"),
        "table": {"anyOf": [_to("table"), {"type": "null"}]},
        "figures": {"type": "array", "items": {"anyOf": [_to(f"figure_{kind}") for kind in figures.KINDS]}},
        "claims": {"type": "array", "items": _to("claim")},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of peftcli",
        "type": "object",
        "properties": {
            "extends": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "default": None,
                "description": "The recipe that this one starts from, by its path from here.",
            },
            **{key: _written_as(recipe[key], written.get(key)) for key in KEYS},
        },
        "additionalProperties": False,
        # A recipe that extends another may leave the required keys to that one.
        "anyOf": [
            {"required": ["extends"]},
            {"required": [key for key in KEYS if Recipe.model_fields[key].is_required()]},
        ],
        "$defs": dict(sorted(_definitions(seeds).items())),
    }


def _definitions(seeds: Schema) -> dict[str, Schema]:
    """What the recipe's keys refer to: the models, and what an entry of tasks or strategies may say; `seeds` as written."""
    definitions: dict[str, Schema] = {}
    models = {
        "training": Training,
        "table": View,
        "claim": claim_model(),
        **{f"figure_{word}": kind.options for word, kind in figures.KINDS.items()},
    }
    for name, model in models.items():
        definitions[name] = _of(model, definitions)
    del definitions["training"]["required"]  # what a recipe leaves out comes from its protocol, or the defaults
    entry = _of(Entry, {})["properties"]
    overrides = {"training": _to("training"), "seeds": {"anyOf": [seeds, {"type": "null"}]}}
    definitions["overrides"] = _closed({key: _written_as(entry[key], overrides.get(key)) for key in entry})
    return definitions | _tasks(entry) | _strategies(entry)


def _of(model: Any, definitions: dict[str, Schema]) -> Schema:
    """Return a model's schema; the models inside it join the definitions."""
    schema = TypeAdapter(model).json_schema(schema_generator=_Untitled)
    definitions |= schema.pop("$defs", {})
    return schema


def _to(*path: str) -> Schema:
    """A reference to what lies at a path among the definitions."""
    return {"$ref": f"#/$defs/{'/'.join(path)}"}


def _written_as(field: Schema, written: Schema | None) -> Schema:
    """A key's schema with its default and meaning, and how it is written where that is not how the model holds it."""
    return (
        field if written is None else written | {key: field[key] for key in ("default", "description") if key in field}
    )


def _closed(properties: Mapping[str, Schema]) -> Schema:
    """A mapping of these keys and no other; with nothing behind a name's colon it is null."""
    return {"type": ["object", "null"], "properties": dict(properties), "additionalProperties": False}


def _tasks(entry: Mapping[str, Schema]) -> dict[str, Schema]:
    """A task as written: its name; its name and what is overridden for it; or files of the user's own, described."""
    description = _of(Description, {})
    for_task = {key: _to("overrides", "properties", key) for key in entry if key != "tasks"}
    described = for_task | description["properties"]  # `label` is the labels' column there
    name = {"type": "string", "description": "The task's name."}
    # Of a task whose runs are only imported nothing but its metrics is described.
    elsewhere = _of(imported_only.Description, {})
    imported = for_task | elsewhere["properties"]
    flat = {"type": "object", "properties": {"name": name, **imported, **described}, "required": ["name"]}
    # Of a name that is no known task, only a description is legal.
    named = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": dict.fromkeys(TASKS, _to("known_task")),
        "additionalProperties": {"anyOf": [_to("described_task"), _to("imported_task")]},
    }
    return {
        "task": {"anyOf": [{"enum": list(TASKS)}, named, flat | {"additionalProperties": False}]},
        "known_task": _closed(for_task),
        "imported_task": _closed(imported) | {"type": "object", "required": elsewhere["required"]},
        "described_task": _closed(described) | {"type": "object", "required": description["required"]},
    }


def _strategies(entry: Mapping[str, Schema]) -> dict[str, Schema]:
    """A strategy as written: `name`, `name:option=value`, or its name with its options and what is overridden for it."""
    # Each strategy lists the overrides beside its own options: only so can any other key be refused.
    overrides = {key: _to("overrides", "properties", key) for key in entry}
    definitions: dict[str, Schema] = {}
    for name, strategy in sorted(registry.STRATEGIES.items()):
        options = _of(strategy.option_model, definitions)
        definitions[f"strategy_{name}"] = _closed(options["properties"] | overrides) | {
            "description": strategy.summary,
            # A strategy whose further options another library checks takes any key.
            "additionalProperties": options.get("additionalProperties") is True,
        }
    names = sorted(registry.STRATEGIES)
    named = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {name: _to(f"strategy_{name}") for name in names},
        "additionalProperties": False,
    }
    with_options = {"type": "string", "pattern": f"^({'|'.join(names)}):"}
    return {"strategy": {"anyOf": [{"enum": names}, with_options, named]}, **definitions}
