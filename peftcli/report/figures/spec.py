"""The entries of a recipe's `figures:`, a model for each kind. No matplotlib, no torch."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.settings import LearningRate

Names = Annotated[list[str], Field(min_length=1)]
Module = Literal["multihead", "feedforward", "layernorm_attention", "layernorm_ffn"]


class _Figure(BaseModel):
    """What every kind has. `name` is the file's; `tasks` and `strategies` (by name or label) keep to some, in their
    order; `caption` is shown with the figure. Where a kind has `published`, it draws the paper's values beside ours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")]
    title: str | None = None
    caption: str = ""
    tasks: Names | None = None
    strategies: Names | None = None


class Bars(_Figure):
    """Mean and standard deviation of each strategy on each task, as bars.

    `learning_rate` is the best by mean, or a number; `start` is where the axis starts, in percent; `collapsed: leave
    out` leaves runs out that give every example the same answer, and says so.
    """

    kind: Literal["bars"]
    learning_rate: Literal["best"] | LearningRate = "best"
    start: Annotated[float, Field(ge=0, lt=100)] = 0.0
    collapsed: Literal["keep", "leave out"] = "keep"
    published: bool = False


class Curves(_Figure):
    """Losses or the metric of every seed while training, their median in black.

    `show: loss` draws the training and the validation loss, `metric` the task's metric on the split that chooses.
    `learning_rate: all` gives each rate a panel. `largest` cuts the axis of losses.
    """

    kind: Literal["curves"]
    show: Literal["loss", "training loss", "metric"] = "loss"
    learning_rate: Literal["best", "all"] | LearningRate = "best"
    against: Literal["step", "epoch"] = "step"
    largest: Annotated[float, Field(gt=0)] | None = None


class LowData(_Figure):
    """The metric against the number of training examples; a strategy with one learning rate keeps it."""

    kind: Literal["low_data"]
    learning_rate: Literal["best"] | LearningRate = "best"
    published: bool = False


class MaskChange(_Figure):
    """The training loss with the steps marked at which the strategy chose its mask anew."""

    kind: Literal["mask_change"]
    learning_rate: Literal["best"] | LearningRate = "best"


class RankScatter(_Figure):
    """Rank by standard deviation against rank by mean of every strategy on every task, with Spearman's correlation."""

    kind: Literal["rank_scatter"]


class Sparsity(_Figure):
    """Mean and standard deviation against the share of weights trained."""

    kind: Literal["sparsity"]
    option: str = "share"


class Layers(_Figure):
    """The metric against the one layer trained; `baselines` are strategies drawn as level lines."""

    kind: Literal["layers"]
    baselines: list[str] = []
    published: bool = False


class Density(_Figure):
    """Densities of each module's weights before and after training; `share` of them, the innermost, are drawn.

    `after` maps a label to a folder or file of weights; without it, what the runs of `strategies` (full, where the
    recipe has it) saved beside their records.
    """

    kind: Literal["density"]
    model: str | None = None
    after: dict[str, str] = {}
    modules: Annotated[list[Module], Field(min_length=1)] = [
        "multihead",
        "feedforward",
        "layernorm_attention",
        "layernorm_ffn",
    ]
    share: Annotated[float, Field(gt=0, le=1)] = 0.998


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
