"""The types of strategies' options: what a recipe or `--strategy name:option=value` may say, and how it is read."""

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field


def _layers(value: Any) -> Any:
    """Read `7`, `5-8`, `1+3+5` or a list as layer numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, str):
        return value
    # What is no number stays as it is, for the check to name; a range of a thousand would be a slip.
    numbers: list[Any] = []
    for part in value.split("+"):
        first, dash, last = part.partition("-")
        if dash and first.isdigit() and last.isdigit() and int(last) - int(first) < 1000:
            numbers += range(int(first), int(last) + 1)
        else:
            numbers.append(int(part) if part.isdigit() else part)
    return numbers


def _groups(value: Any) -> Any:
    """Read `4-9` or a list as the two printed group numbers."""
    if isinstance(value, str):
        return [int(part) if part.isdigit() else part for part in value.split("-")]
    return value


def _names(value: Any) -> Any:
    """Read `query+value` or a list as names: on the command line a comma begins the next option."""
    return value.split("+") if isinstance(value, str) else value


def _start(value: Any) -> Any:
    """Let numbers and `drawn` through: of two types at once pydantic names the first one alone."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not number and value != "drawn":
        raise ValueError("is neither a number nor 'drawn'")
    return value


Layer = Annotated[int, Field(ge=1)]
Role = Literal[
    "query",
    "key",
    "value",
    "attention_output",
    "intermediate",
    "gate",
    "output",
    "query_key_value",
    "position_key",
    "position_query",
]
Roles = Annotated[list[Role], Field(min_length=1), BeforeValidator(_names, json_schema_input_type=list[Role] | str)]
Groups = Annotated[
    list[Annotated[int, Field(ge=0)]],
    Field(min_length=2, max_length=2),
    BeforeValidator(_groups, json_schema_input_type=list[int] | str),
]
# Strict types, so `yes` is no boolean and 7.0 no count; `Share` is of elements, `Rate` of dropout or mixing.
Layers = Annotated[
    list[Layer], Field(min_length=1), BeforeValidator(_layers, json_schema_input_type=Layer | str | list[Layer])
]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
GateStart = Annotated[
    Number | Literal["drawn"], BeforeValidator(_start, json_schema_input_type=Number | Literal["drawn"])
]
