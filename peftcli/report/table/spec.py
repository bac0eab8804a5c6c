"""A recipe's `table:`: its rows and columns, what a cell says, which learning rate counts, what is marked. No torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.settings import NAMES
from peftcli.strategies import registry

Select = Literal["best learning rate by mean", "best learning rate by validation", "every learning rate", "every run"]
Names = Annotated[list[str], Field(min_length=1)]
PLAIN = ("strategy", "task", "learning_rate")  # what rows and columns can run over, besides options and settings


class Average(BaseModel):
    """The column that averages a row's cells: `label` heads it; with `std` it prints the mean of the deviations too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    label: str = Field(default="Avg.", description="What heads the column.")
    std: bool = Field(default=False, description="Print the mean of the deviations too.")


class View(BaseModel):
    """How records become a table."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    rows: Names = Field(
        default=["strategy"],
        description="What the rows run over, outermost first: strategy, task, learning_rate, an option or a training setting.",
    )
    columns: Names = Field(
        default=["task"],
        description="What the columns run over, in the same words; a task's column is named like `mnli_matched`.",
    )
    tasks: Names | None = Field(default=None, description="The columns to show, in the paper's order; all by default.")
    metrics: dict[str, Names] = Field(
        default={}, description="A task's metrics, where not the one that it is chosen by."
    )
    labels: dict[str, str] = Field(
        default={},
        description="The paper's words for a column (`conll2003.f1_macro`), or for what rows run over (`strategy: Model`).",
    )
    # What a cell is: the papers differ in each of these, so a table states them.
    cell: Literal["mean±std", "maximum"] = Field(
        default="mean±std",
        description="The mean over seeds and its deviation, or the maximum over learning rates and seeds.",
    )
    select: Select = Field(default="best learning rate by mean", description="Which learning rate counts.")
    ddof: Literal[0, 1] = Field(default=1, description="The divisor of the standard deviation is n - ddof.")
    scale: Literal["percent", "fraction"] = Field(default="percent", description="Metrics times 100, or fractions.")
    decimals: Annotated[int, Field(ge=0, le=6)] = Field(default=1, description="Digits after the point.")
    average: Average | None = Field(
        default=None,
        description="A column that averages a row's cells: true, its label, or its label and whether it prints a deviation.",
    )
    # What is marked, and what stands beside the cells.
    ranks: Literal["none", "best", "best and second", "top 3"] = Field(
        default="none", description="What marks the best of a column; equal as printed is equal."
    )
    within: list[str] = Field(default=[], description="Rows are ranked apart for each value of these.")
    unranked: list[str] = Field(
        default=[], description="Strategies that take no part in ranks, such as `full` or `layernorm:layers=1`."
    )
    # Papers leave the head out of percentages, and count it into millions (spafit: one of three outputs).
    parameters: Literal["none", "percent", "millions"] = Field(
        default="percent", description="The leading column of trainable parameters; millions counts the head in."
    )
    head_labels: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="The outputs of the head that millions counts, where not the task's."
    )
    published: str | None = Field(default=None, description="The CSV file with the printed cells, beside the recipe.")
    model: str | None = Field(default=None, description="The paper's model; claims about another are not judged.")
    reference: str | None = Field(default=None, description="The strategy that the others are tested against.")
    pairs: bool | None = Field(
        default=None,
        description=(
            "Whether a seed controls the same things in every strategy, so that tests go by pairs wherever both sides have "
            "the same seeds; by default where all runs were trained here."
        ),
    )

    # YAML writes one name without brackets, and an average as `true` or as its label.
    @field_validator("rows", "columns", "within", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("metrics", mode="before", json_schema_input_type=dict[str, str | list[str]])
    @classmethod
    def _one_metric_is_a_list(cls, value: Any) -> Any:
        return {k: [v] if isinstance(v, str) else v for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("average", mode="before", json_schema_input_type=bool | str | Average | None)
    @classmethod
    def _yes_is_an_average(cls, value: Any) -> Any:
        if value is True:
            return {}
        return {"label": value} if isinstance(value, str) else value or None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        # How rates are chosen fixes the layout: `every learning rate` has cells for each, `every run` one for all.
        runs_over = [*self.rows, *self.columns]
        if len(set(runs_over)) != len(runs_over):
            raise ValueError("rows and columns name something twice")
        if "strategy" not in runs_over:
            raise ValueError("rows or columns must run over strategy")
        if (self.select == "every learning rate") != ("learning_rate" in runs_over):
            raise ValueError("select: every learning rate goes with learning_rate in rows or columns, and only with it")
        if (self.select == "every run") != (self.cell == "maximum"):
            raise ValueError("cell: maximum goes with select: every run, and only with it")
        # A row then holds each task once, so that its mean is over tasks alone.
        if self.average and self.columns != ["task"]:
            raise ValueError("an average needs columns that run over task alone")
        return self

    @property
    def by_validation(self) -> bool:
        """Whether examples held out of the training set choose the learning rate."""
        return self.select == "best learning rate by validation"


def read(recipe: Recipe) -> View:
    """Read a recipe's `table:`; without one, strategies by tasks.

    Raises UserError for an unknown key or value, and for rows or columns over something that no run has.
    """
    where = f"recipe {recipe.path.name}: table"
    try:
        view = View.model_validate(recipe.table or {})
    except ValidationError as error:
        raise first_error(error, where, "key", View.model_fields) from None
    # Options of the recipe's own strategies alone: no run has another's.
    legal = {*PLAIN, *NAMES, *(option for name, _ in recipe.strategies for option in registry.get(name).option_names)}
    for name in (*view.rows, *view.columns, *view.within):
        if name not in legal:
            raise UserError(f"{where}: {unknown('rows or columns over', name, sorted(legal))}")
    return view
