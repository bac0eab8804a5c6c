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
    label: str = "Avg."
    std: bool = False


class View(BaseModel):
    """How records become a table.

    `rows`, `columns`: what each runs over, outermost first: `strategy` (an entry's label), `task` (a column such as
    `mnli_matched`), `learning_rate`, an option of the strategies (`n`) or a training setting (`train_size`).
    `tasks`: which columns, in the paper's order (`cola`, `mnli_matched`); all by default. `metrics`: the metrics of a
    task, where not the one it is chosen by. `labels`: the paper's words for a column (`mnli_matched`,
    `conll2003.f1_macro`), or for what rows run over (`strategy: Model`).
    `cell`: mean±std over seeds, or the maximum over learning rates and seeds. `select`: which learning rate counts.
    `ddof`: the divisor of the standard deviation is n - ddof. `scale`: metrics times 100, or fractions.
    `decimals`: digits after the point. `average`: true, or its label and whether it prints a deviation.
    `ranks`: what marks the best of a column; equal as printed is equal. `within`: ranked apart for each value of these.
    `unranked`: strategies that take no part (`full`, `layernorm:layers=1`). `parameters`: the leading column;
    `millions` counts the head in, of `head_labels` outputs. `published`: the CSV with the printed cells, beside the
    recipe. `model`: the paper's; claims about another are not judged. `reference`: what others are tested against.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    rows: Names = ["strategy"]
    columns: Names = ["task"]
    tasks: Names | None = None
    metrics: dict[str, Names] = {}
    labels: dict[str, str] = {}
    cell: Literal["mean±std", "maximum"] = "mean±std"
    select: Select = "best learning rate by mean"
    ddof: Literal[0, 1] = 1
    scale: Literal["percent", "fraction"] = "percent"
    decimals: Annotated[int, Field(ge=0, le=6)] = 1
    average: Average | None = None
    ranks: Literal["none", "best", "best and second", "top 3"] = "none"
    within: list[str] = []
    unranked: list[str] = []
    parameters: Literal["none", "percent", "millions"] = "percent"
    head_labels: Annotated[int, Field(ge=1)] | None = None
    published: str | None = None
    model: str | None = None
    reference: str | None = None

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
