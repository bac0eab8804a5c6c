"""The short ways in which a recipe may say things, read as what they stand for: counts of seeds, names alone, descriptions."""

from typing import Any

from peftcli import documents
from peftcli.errors import UserError
from peftcli.tasks import own_data

MOST_SEEDS = 100_000


def seeds_as_list(entry: Any) -> Any:
    """Read `seeds: 3` as the seeds 0, 1, 2. Raises ValueError for a count below 1 or beyond `MOST_SEEDS`."""
    # A truth value is an int to Python, but `seeds: true` is no count: it stays, and the model refuses it.
    if isinstance(entry, dict) and isinstance(entry.get("seeds"), int) and not isinstance(entry["seeds"], bool):
        count = entry["seeds"]
        if not 1 <= count <= MOST_SEEDS:
            raise ValueError(f"seeds: {count} is no count of seeds: give 1 or more, or a list such as [0, 1, 2]")
        return {**entry, "seeds": list(range(count))}
    return entry


def named_entry(key: str, entry: Any) -> tuple[str, Any]:
    """Read an item of `tasks` or `strategies` (`key`) as a name and what is said of it. Raises ValueError.

    It is written as `name`, `{name: {…}}`, for a strategy also `name:option=value`, for a task `{name: …, data: …}`.
    """
    if isinstance(entry, str):
        entry = parse_strategy(entry) if key == "strategies" else {entry: {}}
    if key == "tasks" and isinstance(entry, dict) and "name" in entry:
        return str(entry["name"]), _task_keys({name: value for name, value in entry.items() if name != "name"})
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError(f"{key}: {str(entry)[:80]!r} is neither a name nor a mapping with one name")
    name, said = next(iter(entry.items()))
    if said is not None and not isinstance(said, dict):  # `- name:` alone is null in YAML
        raise ValueError(f"{key}: what is said of {name!r} must be a mapping, not {str(said)[:80]!r}")
    return str(name), _task_keys(said or {}) if key == "tasks" else said or {}


def parse_strategy(text: str) -> dict[str, dict[str, Any]]:
    """Read `name:option=value,option=value` from the command line. Raises UserError."""
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"strategy {text!r}: {pair!r} is not option=value")
        if key in options:
            raise UserError(f"strategy {text!r}: option {key!r} stands twice")
        options[key] = documents.parse(value)
    return {name: options}


def _task_keys(task: dict[str, Any]) -> dict[str, Any]:
    """Keep the `label` of a task of the user's own, the column of the labels, apart from the table's word for a task."""
    return {own_data.COLUMN if key == "label" and "data" in task else key: value for key, value in task.items()}
