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
    """A name, and the options and settings that must be as given."""

    name: str
    given: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Read `name:key=value,key=value`. Raises UserError."""
        name, _, rest = text.partition(":")
        given = {}
        for pair in filter(None, rest.split(",")):
            key, equals, value = pair.partition("=")
            if not equals:
                raise UserError(f"{text!r}: {pair!r} is not key=value")
            given[key] = documents.parse(value)
        return cls(name, given)

    def fits(self, cell: Named) -> bool:
        """Say whether this strategy's name and options are the cell's."""
        return self.name == cell.strategy and matches({**cell.options, **cell.setting}, self.given)

    def fits_column(self, cell: Named) -> bool:
        """Say whether this column's name, `task.metric` or `task`, and settings are the cell's."""
        return self.name in (cell.column, f"{cell.column}.{cell.metric}") and matches(cell.setting, self.given)


def matches(known: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Say whether what is known has every given value; `7` is `[7]`, `4-9` is `[4, 9]`, `all` is None."""
    return all(_same(known.get(ALIASES.get(key, key), ...), value) for key, value in given.items())


def _same(known: Any, given: Any) -> bool:
    if isinstance(known, list):
        words = [sign.join(map(str, known)) for sign in "-+"]
        return known == given or known == [given] or str(given) in words
    return bool(known == given or (known is None and given == "all"))
