"""Enough of JSON Schema (draft 2020-12) to check a document against the schema of a recipe; any other keyword is an error."""

import functools
import re
from collections.abc import Iterator
from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
LIMITS = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
ABOUT = {"$schema", "$defs", "title", "description", "default", "discriminator"}  # say nothing of what is legal


def is_type(value: Any, name: str) -> bool:
    """Whether a value is of one of JSON's types; a truth value is no number."""
    if name == "boolean" or isinstance(value, bool):
        return name == "boolean" and isinstance(value, bool)
    return isinstance(value, TYPES[name])


def problems(value: Any, schema: Any, root: dict[str, Any], where: str = "$") -> Iterator[str]:
    """What a schema refuses in a value, each with where it is."""
    if schema is True:
        return
    if schema is False:
        yield f"{where}: nothing may stand here"
        return
    for key, rule in schema.items():
        if key in ABOUT:
            continue
        if key == "$ref":
            target = functools.reduce(lambda part, name: part[name], rule.removeprefix("#/").split("/"), root)
            yield from problems(value, target, root, where)
        elif key == "anyOf" or key == "oneOf":
            fits = sum(not any(problems(value, choice, root, where)) for choice in rule)
            if not fits or (key == "oneOf" and fits > 1):
                yield f"{where}: {fits} of {len(rule)} choices fit"
        elif key == "type":
            if not any(is_type(value, name) for name in ([rule] if isinstance(rule, str) else rule)):
                yield f"{where}: {value!r} is not {rule}"
        elif key == "enum" or key == "const":
            if value not in ([rule] if key == "const" else rule):
                yield f"{where}: {value!r} is none of {rule}"
        elif key in LIMITS:
            if isinstance(value, int | float) and not LIMITS[key](value, rule):
                yield f"{where}: {value} against {key} {rule}"
        elif key == "pattern":
            if isinstance(value, str) and not re.search(rule, value):
                yield f"{where}: {value!r} does not match {rule}"
        elif key in ("minLength", "minItems", "minProperties"):
            if isinstance(value, str | list | dict) and len(value) < rule:
                yield f"{where}: shorter than {rule}"
        elif key in ("maxLength", "maxItems", "maxProperties"):
            if isinstance(value, str | list | dict) and len(value) > rule:
                yield f"{where}: longer than {rule}"
        elif key == "items":
            for at, item in enumerate(value if isinstance(value, list) else ()):
                yield from problems(item, rule, root, f"{where}[{at}]")
        elif key == "required":
            yield from (f"{where}: {name} is missing" for name in rule if isinstance(value, dict) and name not in value)
        elif key in ("properties", "additionalProperties"):
            named = schema.get("properties", {})
            for name, inner in value.items() if isinstance(value, dict) else ():
                if (name in named) == (key == "properties"):
                    yield from problems(inner, named.get(name, rule), root, f"{where}.{name}")
        else:
            raise NotImplementedError(f"{where}: keyword {key}")
