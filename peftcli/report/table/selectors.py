"""Naming cells: `spafit:groups=4-9,variant=II` for a strategy, `cola:train_size=1000` for a column. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from peftcli import documents
from peftcli.errors import UserError

ALIASES = {"lr": "learning_rate", "layer": "layers"}


class Named(Protocol):
    """What a selector can look at: a cell, or a number of one."""

    @property
    def strategy(self) -> str: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def setting(self) -> Mapping[str, Any]: ...
    @property
    def column(self) -> str: ...
    @property
    def metric(self) -> str: ...


@dataclass(frozen=True)
class Selector:
    """A name, and the options and settings that a cell must have."""

    name: str
    wanted: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Read `name:key=value,key=value`. Raises UserError."""
        name, _, rest = text.partition(":")
        wanted = {}
        for pair in filter(None, rest.split(",")):
            # Unlike key_value, which refuses it: an empty key is read, and selects nothing.
            key, equals, value = pair.partition("=")
            if not equals:
                raise UserError(f"{text!r}: {pair!r} is not key=value")
            wanted[key] = documents.parse(value)
        return cls(name, wanted)

    def fits(self, cell: Named) -> bool:
        """Say whether this strategy's name and options are the cell's."""
        return self.name == cell.strategy and matches({**cell.options, **cell.setting}, self.wanted)

    def fits_column(self, cell: Named) -> bool:
        """Say whether this column's name, `task.metric` or `task`, and settings are the cell's."""
        return self.name in (cell.column, f"{cell.column}.{cell.metric}") and matches(cell.setting, self.wanted)


def matches(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether the settings have every wanted value; `7` is `[7]`, `4-9` is `[4, 9]`, `all` is None."""
    # A missing setting is `...`: None would be taken for `all`.
    return all(_same(settings.get(ALIASES.get(key, key), ...), value) for key, value in wanted.items())


def _same(value: Any, wanted: Any) -> bool:
    """Compare a setting's value with one as recipes and papers write it."""
    if isinstance(value, list):
        # `4-9` (a range, spafit's groups) and `4+9` (a list) are both text in a recipe.
        words = [sign.join(map(str, value)) for sign in "-+"]
        return value == wanted or value == [wanted] or str(wanted) in words
    return bool(value == wanted or (value is None and wanted == "all"))
