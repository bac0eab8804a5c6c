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
    definitions: dict[str, Schema] = {}
    models = {
        "training": Training,
        "entry": Entry,
        "description": Description,
        "table": View,
        "claim": claim_model(),
        **{f"figure_{kind}": model for kind, model in figures.KINDS.items()},
    }
    for name, model in models.items():
        definitions[name] = _of(model, definitions)
    del definitions["training"]["required"]  # what a recipe leaves out comes from its protocol, or the defaults
    entry, description = definitions.pop("entry"), definitions.pop("description")
    recipe = _of(Recipe, {})["properties"]
    seeds = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100_000}, recipe["seeds"]]}
    overrides = entry["properties"] | {"training": _to("training"), "seeds": {"anyOf": [seeds, {"type": "null"}]}}
    written = {
        "extends": {"type": "string", "description": "The recipe that this one starts from, by its path from here."},
        **{key: recipe[key] for key in KEYS},
        "tasks": {"type": "array", "minItems": 1, "items": _to("task")},
        "strategies": {"type": "array", "minItems": 1, "items": _to("strategy")},
        "seeds": seeds,
        "training": _to("training"),
        "table": {"anyOf": [_to("table"), {"type": "null"}]},
        "figures": {"type": "array", "items": {"anyOf": [_to(f"figure_{kind}") for kind in figures.KINDS]}},
        "claims": {"type": "array", "items": _to("claim")},
    }
    for key in ("tasks", "strategies", "seeds", "training", "table", "figures", "claims"):
        written[key] = {"description": recipe[key].get("description", ""), **written[key]}
    definitions |= {"task": _task(overrides, description), "strategy": _strategy(overrides)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of peftcli",
        "type": "object",
        "properties": written,
        "additionalProperties": False,
        "anyOf": [
            {"required": ["extends"]},
            {"required": [key for key in KEYS if Recipe.model_fields[key].is_required()]},
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def _of(model: Any, definitions: dict[str, Schema]) -> Schema:
    """Return a model's schema; the models inside it join the definitions."""
    schema = TypeAdapter(model).json_schema(schema_generator=_Untitled)
    definitions |= schema.pop("$defs", {})
    return schema


def _to(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _task(overrides: Schema, description: Schema) -> Schema:
    """A task as written: its name; its name and what is overridden for it; or one of the user's own, described."""
    for_task = {key: value for key, value in overrides.items() if key != "tasks"}  # that key keeps strategies to tasks
    described = {**for_task, **description["properties"]}
    flat = {"name": {"type": "string", "description": "The task's name."}, **described}
    return {
        "anyOf": [
            {"enum": list(TASKS)},
            {"type": "object", "properties": flat, "required": ["name"], "additionalProperties": False},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": dict.fromkeys(TASKS, _closed(for_task)),
                "additionalProperties": _closed(described) | {"required": description["required"]},
            },
        ]
    }


def _strategy(overrides: Schema) -> Schema:
    """A strategy as written: `name`, `name:option=value`, or its name with its options and what is overridden for it."""
    by_name = {}
    for name, strategy in registry.STRATEGIES.items():
        options = _of(strategy.option_model, {})
        # A strategy whose further options another library checks takes any key.
        further = {"additionalProperties": True} if options.get("additionalProperties") is True else {}
        by_name[name] = _closed({**overrides, **options["properties"]}) | further | {"description": strategy.summary}
    return {
        "anyOf": [
            {"enum": list(by_name)},
            {"type": "string", "pattern": f"^({'|'.join(by_name)}):"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": by_name,
                "additionalProperties": False,
            },
        ]
    }


def _closed(properties: Mapping[str, Schema]) -> Schema:
    """A mapping of these keys and no other; nothing after the name's colon is one without keys."""
    return {"type": ["object", "null"], "properties": dict(properties), "additionalProperties": False}
