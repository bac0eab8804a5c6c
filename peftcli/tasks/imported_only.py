"""Tasks of which there are only runs that others made: a recipe names their metrics, and nothing here trains on them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from peftcli.errors import UserError, first_error, unknown
from peftcli.tasks import metrics
from peftcli.tasks.registry import Task

KEY: Literal["imported"] = "imported"  # of a recipe's entry, and the kind of its task
SPLIT = "test"  # what others report
LEAST_EXAMPLES = 3  # that an interval can be taken over


class Description(BaseModel):
    """Such a task as a recipe describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    imported: Annotated[list[str], Field(min_length=1)] = Field(
        description="The metrics of a task whose runs are only ever imported, the one that is reported first."
    )
    examples: Annotated[int, Field(ge=LEAST_EXAMPLES)] | None = Field(
        None,
        description="How many examples all runs were tested on: the accuracy of a single run has the interval of these alone.",
    )

    @field_validator("imported", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def describe(where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run holds of such a task, from its entry in a recipe. Raises UserError; `where` leads the message."""
    try:
        stated = Description.model_validate(dict(options))
    except ValidationError as error:
        raise first_error(error, where, "key", Description.model_fields) from None
    for name in stated.imported:
        if name not in metrics.NAMES:
            raise UserError(f"{where}: {unknown('metric', name, metrics.NAMES)}")
    return {"kind": KEY, "metrics": list(stated.imported)}


def examples(options: Mapping[str, Any]) -> int | None:
    """Return how many examples a task's runs were tested on, from its entry in a recipe; None where that does not say.

    No part of a run, whose id stays the same whether it is said.
    """
    return Description.model_validate(dict(options)).examples if KEY in options else None


def task(name: str, named: Sequence[str]) -> Task:
    """Return such a task, with its metrics: it has neither data nor labels, and one split that is reported."""
    return Task(name, "", None, KEY, (), (), tuple(named), {}, evaluation=(SPLIT,))


def refuse(name: str, each: Task) -> None:
    """Refuse to train on, or to count for, a task whose runs are only ever imported. Raises UserError."""
    if each.kind == KEY:
        raise UserError(f"task {name}: its runs are imported (peftcli import), and none is trained here")
