"""Reading YAML as data: plain values only, `1e-5` a number, a key never twice, and no document that grows when read."""

import copy
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from peftcli.errors import UserError
from peftcli.files import read_text

LARGEST_FILE = 1_000_000  # characters
LARGEST_DOCUMENT = 100_000  # nodes, aliases expanded
DEEPEST = 50  # levels
_SURROGATE = re.compile("[\ud800-\udfff]")


# libyaml, where PyYAML is built with it, reads ten times as fast: half of a short command's start is reading recipes.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """The safe loader with YAML 1.2's numbers and booleans, and duplicate keys refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping. Raises UserError naming a key that stands twice, and its line."""
        seen: set[str] = set()
        # PyYAML keeps the last of two equal keys without a word. `<<` may stand twice: it merges.
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise UserError(f"key {key.value!r} stands twice, again on line {key.start_mark.line + 1}")
            if isinstance(key.value, str):
                seen.add(key.value)
        built: dict[Any, Any] = super().construct_mapping(node, deep)
        return built


# SafeLoader's own reads 0b1, 0x1 and 1_000 as numbers, and 010 as octal.
def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)))


# YAML 1.2's plain scalars: `on` and `no` are text, 010 is ten, 1e-5 a number, 12:30 and dates are text.
_SCALARS = {
    "bool": (r"true|false|True|False|TRUE|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
}
_REPLACED = {f"tag:yaml.org,2002:{name}" for name in (*_SCALARS, "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def load(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; `what` names it in errors.

    Raises UserError for a file that is missing, not UTF-8, over 1 MB, not YAML, nested past 50 levels, larger than
    100,000 values with its aliases expanded, or anything but a mapping.
    """
    text = read_text(path, what)
    if len(text) > LARGEST_FILE:
        raise UserError(f"{what} {path} is larger than {LARGEST_FILE} characters")
    try:
        document = copy.deepcopy(_parsed(text))  # who reads it may change it
    except UserError as error:
        raise UserError(f"{what} {path}: {error}") from None
    if document is None:
        raise UserError(f"{what} {path} is empty")
    if not isinstance(document, dict):
        raise UserError(f"{what} {path} must be a mapping of keys to values, not a {type(document).__name__}")
    return document


# A command plans its recipe several times, each time with the protocol beside it: parsing is most of the wait.
@lru_cache(maxsize=16)
def _parsed(text: str) -> Any:
    return parse(text)


def parse(text: str) -> Any:
    """Read YAML text into plain values (None, bool, int, float, str, list, dict). Raises UserError."""
    try:
        document = yaml.load(text, Loader=_Loader)  # a SafeLoader: builds plain values only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" on line {mark.line + 1}" if mark else ""
        raise UserError(f"not YAML{where}: {getattr(error, 'problem', None) or error}") from None
    except (RecursionError, ValueError, TypeError) as error:
        raise UserError(f"not a document of plain values: {type(error).__name__}") from None
    _check(document, [0], 0)
    return document


def _check(node: Any, count: list[int], depth: int) -> None:
    """Refuse what is no plain value, nested too deep, or too many once aliases are expanded; `count` is the values so far.

    Raises UserError.
    """
    # An alias is the same object again: walking it anew counts what it stands for, before anything copies it.
    count[0] += 1
    if count[0] > LARGEST_DOCUMENT:
        raise UserError(f"holds more than {LARGEST_DOCUMENT} values once its aliases are expanded")
    if depth > DEEPEST:
        raise UserError(f"is nested deeper than {DEEPEST} levels")
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                raise UserError(f"key {key!r} must be text")
            _check(key, count, depth + 1)
            _check(value, count, depth + 1)
    elif isinstance(node, list):
        for value in node:
            _check(value, count, depth + 1)
    elif isinstance(node, float) and not math.isfinite(node):
        raise UserError(f"value {node} is not a finite number")
    elif isinstance(node, str) and _SURROGATE.search(node):
        raise UserError(f"text {ascii(node)[:80]} holds half a character")
    elif not isinstance(node, str | int | float | None):
        raise UserError(f"value {str(node)[:80]!r} is a {type(node).__name__}, not text or a number")
