"""The entries of a recipe's `figures:`. No matplotlib, no torch.

A kind of figure is a file: the model of its options, what it reads of a study, and the function that draws it,
registered by `draws`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.settings import LearningRate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from peftcli.report.figures.study import Study

Names = Annotated[list[str], Field(min_length=1)]
BestOrRate = Literal["best", "printed"] | LearningRate

# What options of several kinds say of themselves.
RATE = (
    "The learning rate shown: the best (by held-out examples where the table chooses so, else by mean), the one whose printed "
    "cell is best (the lowest of equal ones; as `best` where nothing was printed), or a number; a strategy with one rate alone "
    "keeps it."
)
PUBLISHED = "Whether the paper's values are drawn beside ours."


class FigureSpec(BaseModel):
    """What every kind of figure has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")] = Field(description="The name of its file.")
    title: str | None = Field(None, description="Its title; made of its name and kind by default.")
    caption: str = Field("", description="What is shown with the figure.")
    tasks: Names | None = Field(None, description="The tasks or columns drawn, in this order; all by default.")
    strategies: Names | None = Field(
        None, description="The strategies drawn, by name or label, in this order; all by default."
    )
    kind: str = Field(description="What kind of figure it is.")


Draw = Callable[[Any, "Study"], "tuple[Figure, str]"]
Read = Callable[[Any, "Study"], object]


@dataclass(frozen=True)
class Kind:
    """A kind of figure: the model of its options, what its title says by default, and the functions that make it.

    `read` collects what is drawn; without any record it still raises UserError for a task, strategy, learning rate or
    option that the recipe does not have. `draw` returns the figure and what it shows in words.
    """

    options: type[FigureSpec]
    title: str
    read: Read
    draw: Draw


KINDS: dict[str, Kind] = {}  # by the word in a recipe, in the order in which messages list them


def _names(spec: FigureSpec, study: "Study") -> object:
    return study.groups(spec.tasks, spec.strategies, "best")


def draws(options: type[FigureSpec], title: str, read: Read = _names) -> Callable[[Draw], Draw]:
    """Register a function as the one that draws this kind, under the word that its `kind` must be."""

    def register(draw: Draw) -> Draw:
        """The same function, registered."""
        (word,) = get_args(options.model_fields["kind"].annotation)
        KINDS[word] = Kind(options, title, read, draw)
        return draw

    return register


def parse(entry: Mapping[str, Any], where: str = "figures") -> FigureSpec:
    """Check one entry of a recipe's `figures:`; `where` leads the message. Raises UserError for a bad key or value."""
    word = entry.get("kind")
    if not isinstance(word, str) or word not in KINDS:
        raise UserError(f"{where}: {unknown('kind', word, KINDS)}")
    model = KINDS[word].options
    try:
        return model.model_validate(dict(entry))
    except ValidationError as error:
        name = f"{where}: figure {str(entry.get('name', word))[:60]}"
        raise first_error(error, name, "key", model.model_fields) from None


def parse_all(entries: list[dict[str, Any]], where: str = "figures") -> list[FigureSpec]:
    """Check a recipe's `figures:`, names not twice; `where` leads the message. Raises UserError."""
    specs = [parse(entry, where) for entry in entries]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: two are named {name!r}")
    return specs
