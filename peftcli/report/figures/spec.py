"""The entries of a recipe's `figures:`, a model for each kind. No matplotlib, no torch."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.settings import LearningRate

Names = Annotated[list[str], Field(min_length=1)]
Module = Literal["multihead", "feedforward", "layernorm_attention", "layernorm_ffn"]


class _Figure(BaseModel):
    """What every kind of figure has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")] = Field(
        description="The name of the figure's file."
    )
    title: str | None = Field(default=None, description="What heads the figure.")
    caption: str = Field(default="", description="What is shown below it.")
    tasks: Names | None = Field(default=None, description="The tasks to draw, by name, in this order; all by default.")
    strategies: Names | None = Field(
        default=None, description="The strategies to draw, by name or label, in this order; all by default."
    )


class Bars(_Figure):
    """Mean and standard deviation of each strategy on each task, as bars."""

    kind: Literal["bars"]
    learning_rate: Literal["best"] | LearningRate = Field(
        default="best", description="The best learning rate by mean, or one of the recipe's."
    )
    start: Annotated[float, Field(ge=0, lt=100)] = Field(default=0.0, description="Where the axis starts, in percent.")
    collapsed: Literal["keep", "leave out"] = Field(
        default="keep",
        description="What to do with runs that give every example the same answer; left out, they are named.",
    )
    published: bool = Field(default=False, description="Draw the paper's values beside ours.")


class Curves(_Figure):
    """Losses or the metric of every seed while training, their median in black."""

    kind: Literal["curves"]
    show: Literal["loss", "training loss", "metric"] = Field(
        default="loss",
        description="The training and the validation loss, the training loss alone, or the metric on the split that chooses.",
    )
    learning_rate: Literal["best", "all"] | LearningRate = Field(
        default="best", description="The best learning rate by mean, all of them in a panel each, or one."
    )
    against: Literal["step", "epoch"] = Field(default="step", description="What the horizontal axis counts.")
    largest: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Where the axis of losses is cut off."
    )


class LowData(_Figure):
    """The metric against the number of training examples; a strategy with one learning rate keeps it."""

    kind: Literal["low_data"]
    learning_rate: Literal["best"] | LearningRate = Field(
        default="best", description="The best learning rate by mean, or one of the recipe's."
    )
    published: bool = Field(default=False, description="Draw the paper's values beside ours.")


class MaskChange(_Figure):
    """The training loss with the steps marked at which the strategy chose its mask anew."""

    kind: Literal["mask_change"]
    learning_rate: Literal["best"] | LearningRate = Field(
        default="best", description="The best learning rate by mean, or one of the recipe's."
    )


class RankScatter(_Figure):
    """Rank by standard deviation against rank by mean of every strategy on every task, with Spearman's correlation."""

    kind: Literal["rank_scatter"]


class Sparsity(_Figure):
    """Mean and standard deviation against the share of weights trained."""

    kind: Literal["sparsity"]
    option: str = Field(default="share", description="The option that holds the fraction.")


class Layers(_Figure):
    """The metric against the one layer trained."""

    kind: Literal["layers"]
    baselines: list[str] = Field(default=[], description="Strategies drawn as level lines.")
    published: bool = Field(default=False, description="Draw the paper's values beside ours.")


class Density(_Figure):
    """Densities of each module's weights before and after training."""

    kind: Literal["density"]
    model: str | None = Field(default=None, description="The pre-trained model; the recipe's by default.")
    after: dict[str, str] = Field(
        default={},
        description="Folders or files of trained weights, by label; by default what the runs of `strategies` (or full) saved.",
    )
    modules: Annotated[list[Module], Field(min_length=1)] = Field(
        default=["multihead", "feedforward", "layernorm_attention", "layernorm_ffn"], description="The modules to draw."
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.998, description="The fraction of weights drawn, the innermost."
    )


Spec = Bars | Curves | LowData | MaskChange | RankScatter | Sparsity | Layers | Density
KINDS: dict[str, type[Spec]] = {
    "bars": Bars,
    "curves": Curves,
    "low_data": LowData,
    "mask_change": MaskChange,
    "rank_scatter": RankScatter,
    "sparsity": Sparsity,
    "layers": Layers,
    "density": Density,
}


def parse(entry: Mapping[str, Any]) -> Spec:
    """Check one entry of a recipe's `figures:`. Raises UserError naming the bad key or value."""
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"figures: {unknown('kind', kind, KINDS)}")
    model = KINDS[kind]
    try:
        return model.model_validate(dict(entry))
    except ValidationError as error:
        raise first_error(error, f"figure {str(entry.get('name', kind))[:60]}", "key", model.model_fields) from None


def parse_all(entries: list[dict[str, Any]]) -> list[Spec]:
    """Check a recipe's `figures:`, names not twice. Raises UserError."""
    specs = [parse(entry) for entry in entries]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"figures: two are named {name!r}")
    return specs
