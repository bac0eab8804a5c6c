"""The registry of strategies: a function under its own name; its keyword arguments are its recipe options. No torch."""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from peftcli.errors import UserError, first_error, unknown
from peftcli.models.anatomy import Anatomy
from peftcli.strategies.tuning import Elements, Mask, Tuning


@dataclass(frozen=True)
class Strategy:
    """A registered strategy: the function, and its options read off the function's signature."""

    function: Callable[..., Tuning | Mask]

    @property
    def name(self) -> str:
        """The name in recipes and on the command line."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @cached_property
    def option_model(self) -> type[BaseModel]:
        """The options with their types and defaults, as a model that checks them."""
        # The first parameter is the model; the others are options, with their types as they are checked.
        hints = typing.get_type_hints(self.function, include_extras=True)
        signature = list(inspect.signature(self.function).parameters.values())[1:]
        fields: dict[str, Any] = {
            p.name: (hints[p.name], ... if p.default is inspect.Parameter.empty else p.default)
            for p in signature
            if p.kind is not inspect.Parameter.VAR_KEYWORD
        }
        # A strategy with ** options checks them itself, once it is asked what may move.
        further: Literal["allow", "forbid"] = "forbid" if len(fields) == len(signature) else "allow"
        return create_model(self.name, __config__=ConfigDict(extra=further, strict=True), **fields)

    @property
    def option_names(self) -> tuple[str, ...]:
        """The options this strategy takes."""
        return tuple(self.option_model.model_fields)

    def options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Check options and fill in defaults. Raises UserError naming the bad option or value."""
        try:
            return self.option_model.model_validate(dict(settings)).model_dump()
        except ValidationError as error:
            raise first_error(error, f"strategy {self.name}", "option", self.option_names) from None

    def tune(self, model: Anatomy, options: Mapping[str, Any]) -> Tuning:
        """Ask the strategy what may move. Raises UserError for options that this model cannot satisfy."""
        # Most strategies only select, and return a bare mask.
        answer = self.function(model, **options)
        tuning = answer if isinstance(answer, Tuning) else Tuning(mask=tuple(answer))
        # A share of a small model may round down to nothing: training only the head would pass for the strategy.
        counts = [entry.count for entry in tuning.mask if isinstance(entry, Elements)]
        if any(count <= 0 for count in counts) or (tuning.kept and not sum(tuning.kept.values())):
            raise UserError(f"strategy {self.name} with {dict(options)} selects nothing to train")
        return tuning


STRATEGIES: dict[str, Strategy] = {}


def strategy(function: Callable[..., Tuning | Mask]) -> Callable[..., Tuning | Mask]:
    """Register a strategy under its function's name."""
    STRATEGIES[function.__name__] = Strategy(function)
    return function


def get(name: str) -> Strategy:
    """A strategy by name. Raises UserError with the nearest name for one that does not exist."""
    import peftcli.strategies  # noqa: F401  (fills the registry)

    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    return STRATEGIES[name]
