"""Recipes: a YAML file with model, tasks, strategies, learning rates, seeds, protocol, and the views they fill."""

import os
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from peftcli import documents
from peftcli.errors import UserError, first_error, key_value, unknown
from peftcli.experiment import extending
from peftcli.experiment.notation import named_entry, seeds_as_list
from peftcli.experiment.settings import NAMES, LearningRate, Seed
from peftcli.models import catalogue
from peftcli.tasks import registry as tasks

# The recipes lie beside the package in the repository, and inside it once installed.
SHIPPED = Path(__file__).parents[1] / "recipes"
REPOSITORY = Path(__file__).parents[2] / "recipes"
PROTOCOL = "protocol.yaml"  # the name of a paper's protocol, beside its recipes
Rates = list[LearningRate]
Seeds = list[Seed]


class Entry(BaseModel):
    """A task or strategy in a recipe, with what is overridden for it; every other key is an option of the strategy."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    training: dict[str, Any] = Field(default={}, description="Training settings for this task or strategy alone.")
    learning_rates: Rates | None = Field(
        default=None, min_length=1, description="Learning rates instead of the recipe's."
    )
    seeds: Seeds | None = Field(
        default=None, min_length=1, description="Seeds, or their number, instead of the recipe's."
    )
    tasks: list[str] | None = Field(
        default=None, min_length=1, description="The tasks that a strategy is kept to (a key of strategies only)."
    )
    label: str | None = Field(default=None, description="The paper's word for it, shown in tables and figures.")
    note: str | None = Field(
        default=None, description="A remark, such as why a printed count differs; `peftcli params` shows it."
    )

    @model_validator(mode="before")
    @classmethod
    def _count_seeds(cls, entry: Any) -> Any:
        return seeds_as_list(entry)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are neither overrides nor words for the reader."""
        return dict(self.model_extra or {})


class Recipe(BaseModel):
    """A recipe as written, checked; `plan.expand` makes runs of it. `table`, `figures`, `claims` are the report's."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    title: str = Field(description="What the recipe is about; heads its report.")
    model: str = Field(
        default=catalogue.DEFAULT, min_length=1, description="The pre-trained model: a name, a hub id or a folder."
    )
    tasks: list[tuple[str, Entry]] = Field(
        min_length=1,
        description="The tasks: names, names with what is overridden for them, or described files of one's own.",
    )
    strategies: list[tuple[str, Entry]] = Field(
        min_length=1,
        description="The strategies: names, `name:option=value`, or names with their options and overrides.",
    )
    learning_rates: Rates = Field(
        min_length=1, description="Every strategy is trained with each of them, on every task."
    )
    seeds: Seeds = Field(min_length=1, description="The seeds, or their number: 3 is [0, 1, 2].")
    protocol: str | None = Field(
        default=None,
        description="A reading of the paper in the `protocol.yaml` beside the recipe, such as `described`.",
    )
    training: dict[str, Any] = Field(
        default={}, description="Training settings; the protocol and the defaults say the rest."
    )
    table: dict[str, Any] | None = Field(default=None, description="The table; without it, strategies by tasks.")
    figures: list[dict[str, Any]] = Field(default=[], description="The figures, each of a kind.")
    claims: list[dict[str, Any]] = Field(default=[], description="The paper's conclusions, as checks of the table.")
    notes: list[str] = Field(default=[], description="Remarks shown with the report.")
    # Not keys of the file: where it lies, and the training settings of `--set`.
    path: Path
    overrides: dict[str, Any] = {}

    @property
    def reading(self) -> str | None:
        """The reading of the `protocol.yaml` beside the recipe, `described` where it names none; None without a protocol."""
        beside = (self.path.parent / PROTOCOL).is_file()
        return self.protocol or ("described" if beside else None)

    @model_validator(mode="before")
    @classmethod
    def _read_lists(cls, document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        document = dict(seeds_as_list(document))
        for key in ("tasks", "strategies"):
            if isinstance(document.get(key), list):
                document[key] = [named_entry(key, entry) for entry in document[key]]
        return document

    # A value twice would be the same run twice, and a mean over seeds would count it once.
    @model_validator(mode="after")
    def _no_twins(self) -> Self:
        for key in ("learning_rates", "seeds"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} lists a value twice")
        return self

    # Strategies may be kept to tasks of the recipe; a name of the registry that the recipe lacks keeps them from all.
    @model_validator(mode="after")
    def _only_known_tasks(self) -> Self:
        names = dict.fromkeys([*(name for name, _ in self.tasks), *tasks.TASKS])
        for name, entry in self.tasks:
            if entry.tasks is not None:
                raise ValueError(f"task {name}: tasks is a key of strategies")
        for named in (task for _, entry in self.strategies for task in entry.tasks or ()):
            if named not in names:
                raise ValueError(str(unknown("task", named, names)))
        return self


Part = TypeVar("Part", Recipe, Entry)

KEYS = tuple(name for name in Recipe.model_fields if name not in ("path", "overrides"))


def load(path: Path, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe, follow `extends`, apply `--set` overrides (dotted recipe keys, or training settings) and check it.

    Raises UserError.
    """
    document = extending.read(path)
    overrides = dict(overrides or {})
    # `--set epochs=5` is a training setting and outranks every `training:` of the recipe, a strategy's own too.
    training = {key: overrides.pop(key) for key in list(overrides) if key in NAMES}
    for key, value in overrides.items():
        _set(document, key, value)
    return build(document, path, training)


def build(document: dict[str, Any], path: Path, overrides: dict[str, Any], where: str | None = None) -> Recipe:
    """Check a recipe's document; `overrides` are training settings that outrank everything. Raises UserError.

    `where` names the recipe in errors.
    """
    where = where or f"recipe {path.name}"
    # pydantic would refuse an unknown key too, but after the values of the known ones.
    for key in document:
        if key not in KEYS:
            raise UserError(f"{where}: {unknown('key', key, (*KEYS, 'extends'))}")
    try:
        return Recipe.model_validate({**document, "path": path, "overrides": overrides})
    except ValidationError as error:
        raise first_error(error, where, "key", KEYS) from None


def find(name: str) -> Path:
    """Find a recipe: a path, or a name under the shipped recipes such as `demo` or `transferability/table1`."""
    candidates = [Path(name), *(folder / f"{name.removesuffix('.yaml')}.yaml" for folder in (REPOSITORY, SHIPPED))]
    candidates += [folder / name.removeprefix("recipes/") for folder in (REPOSITORY, SHIPPED)]
    # A file of that name in the working folder comes first, so that a shipped recipe can be copied and changed.
    for candidate in candidates:
        if os.path.isfile(candidate):  # unlike Path.is_file, no error for a name that is too long
            return candidate
    if os.path.isdir(name):
        raise UserError(f"recipe {name!r} is a folder, not a file")
    beside = sorted(map(str, Path(name).parent.glob("*.yaml"))) if os.path.isdir(os.path.dirname(name) or ".") else []
    raise unknown("recipe", name, [*beside, *shipped()])


def name_of(path: Path) -> str:
    """Name a recipe by its file: under the shipped recipes as `find` takes it, elsewhere by the file's own name."""
    whole = path.resolve().with_suffix("")
    folder = next((folder for folder in (REPOSITORY, SHIPPED) if whole.is_relative_to(folder.resolve())), None)
    return whole.name if folder is None else whole.relative_to(folder.resolve()).as_posix()


def shipped() -> list[str]:
    """Name the recipes that come with the program, e.g. `transferability/table1`."""
    folder = root()
    files = sorted(folder.rglob("*.yaml"))
    return [str(file.relative_to(folder).with_suffix("")) for file in files if file.name != PROTOCOL]


def root() -> Path:
    """The folder of the recipes that come with the program: the repository's own, or the installed package's."""
    return REPOSITORY if (REPOSITORY / "demo.yaml").is_file() else SHIPPED


def parse_set(pairs: list[str]) -> dict[str, Any]:
    """Read `--set key=value` pairs; values are YAML. Raises UserError."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, value = key_value(pair, f"--set {pair!r} is not key=value")
        try:
            values[key] = documents.parse(value)
        except UserError as error:
            # In YAML a brace opens a mapping, and a template begins with one.
            hint = (
                f"""; text with braces stands in quotes of its own: --set '{key}="{value}"'""" if "{" in value else ""
            )
            raise UserError(f"--set {key}: {error}{hint}") from None
    return values


def first_alone(recipe: Recipe, *names: str) -> Recipe:
    """Return a recipe with the first value alone of these lists (`seeds`, `learning_rates`), in each of its entries too."""

    def cut(part: Part) -> Part:
        """The recipe or an entry with its lists cut; one that it does not have it goes on taking from above."""
        lists = {name: getattr(part, name) for name in names}
        return part.model_copy(update={name: values and values[:1] for name, values in lists.items()})

    entries = {
        "tasks": [(name, cut(entry)) for name, entry in recipe.tasks],
        "strategies": [(name, cut(entry)) for name, entry in recipe.strategies],
    }
    return cut(recipe).model_copy(update=entries)


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a key of a recipe (`seeds`), or one inside its mappings (`table.decimals`). Raises UserError."""
    first, _, rest = key.partition(".")
    if not rest:
        if first not in KEYS:
            raise UserError(f"--set: {unknown('key', first, (*KEYS, *NAMES))}")
        document[first] = value
        return
    inner = document.setdefault(first, {})
    if not isinstance(inner, dict):
        raise UserError(f"--set {key}: {first} is not a mapping")
    inner[rest] = value
