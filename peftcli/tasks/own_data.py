"""A task of the user's own: what a recipe says of it, and its files (CSV, TSV, JSON lines, parquet). No torch.

`tasks: [{name: mine, data: folder, text: [a, b], label: y, metric: f1}]` with files named train and validation.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from peftcli.errors import UserError, first_error, unknown
from peftcli.tasks import metrics, own_files
from peftcli.tasks import registry as tasks
from peftcli.tasks.registry import Task

COLUMN = "label_column"  # what a recipe's entry keeps a described task's `label` under
DEFAULTS = {
    "regression": ("spearman", "pearson", "mean_pearson_spearman"),
    "token": ("accuracy", "f1_macro", "f1_micro"),
}
TWO_CLASSES = ("f1", "mean_accuracy_f1")
Columns = Mapping[str, Sequence[Any]]
Names = Annotated[list[str], Field(min_length=1)]


class Description(BaseModel):
    """A task as a recipe describes it. `kind` is by default `sentence` with one text and `pair` with two."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    data: Annotated[str, Field(min_length=1)]
    text: Annotated[list[str], Field(min_length=1, max_length=2)]
    label: str = "label"
    kind: Literal["sentence", "pair", "regression", "token"] | None = None
    labels: Annotated[list[str], Field(min_length=2)] | None = None
    metric: Names | None = None

    @field_validator("text", "metric", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_text(cls, given: Any) -> Any:
        return [own_files.name(value) for value in given] if isinstance(given, list) else given


def task(name: str, described: Mapping[str, Any] | None) -> Task:
    """Give a task by its name and, where it is one of the user's own, what a run holds of it. Raises UserError."""
    if described is None:
        return tasks.get(name)
    return Task(
        name=name,
        data=own_files.SOURCE,
        subset=None,
        kind=described["kind"],
        text=tuple(described["text"]),
        labels=tuple(described["labels"]),
        metrics=tuple(described["metrics"]),
        sizes={},
        label=described["label"],
    )


def check(name: str, described: Mapping[str, Any], place: Path) -> None:
    """Refuse files other than those a task was described from. Raises UserError."""
    now = own_files.fingerprint(place)
    if now != described["fingerprint"]:
        raise UserError(
            f"task {name}: {place} is not the data of this run: its fingerprint is {now}, not {described['fingerprint']}"
        )


def describe(recipe: Path, task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Read a recipe's description of a task and its files into what a run holds of it: no path, but a fingerprint.

    Raises UserError for a key or value that is not legal, and for files that are not there or not what is said of them.
    """
    where = f"recipe {recipe.name}: task {task}"
    try:
        given = Description.model_validate({"label" if k == COLUMN else k: value for k, value in options.items()})
    except ValidationError as error:
        raise first_error(error, where, "key", Description.model_fields) from None
    kind = given.kind or ("pair" if len(given.text) == 2 else "sentence")
    if (kind == "pair") != (len(given.text) == 2) and kind != "regression":
        raise UserError(f"{where}: kind {kind} with {len(given.text)} text columns: a pair has two, the others one")
    place = folder(recipe, options)
    read = own_files.columns(place)
    for name in (*given.text, given.label):
        _check_column(where, read["train"], name)
    labels = [] if kind == "regression" else given.labels or _labels(where, read, given.label)
    return {
        "kind": kind,
        "text": list(given.text),
        "label": given.label,
        "labels": labels,
        "metrics": _metrics(where, kind, len(labels), given.metric or []),
        "fingerprint": own_files.fingerprint(place),
    }


def folder(recipe: Path, options: Mapping[str, Any]) -> Path:
    """Give the file or folder that a recipe's task names: relative to the recipe."""
    return (recipe.parent / Path(str(options["data"])).expanduser()).resolve()


def folders(recipe: Path, described: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Path]:
    """Give the places of all tasks that a recipe describes, from their names and what is said of them."""
    return {name: folder(recipe, options) for name, options in described if options}


def _check_column(where: str, files: Sequence[Columns], name: str) -> None:
    for columns in files:
        if name not in columns:
            raise UserError(f"{where}: {unknown('column', name, columns)}")


def _labels(where: str, read: Mapping[str, Sequence[Columns]], column: str) -> list[str]:
    """Read the label names off the training and validation rows: in order as numbers where all are, else as text."""
    names: set[str] = set()
    for split in ("train", "validation"):
        _check_column(f"{where}, split {split}", read.get(split, ()), column)
        names |= {own_files.name(value) for own in read.get(split, ()) for value in _flat(own[column])}
    if names & {"", "None"}:
        raise UserError(f"{where}: column {column!r} misses a label")
    if len(names) < 2:
        raise UserError(f"{where}: column {column!r} has one label alone: {next(iter(names))!r}")
    numbers = [own_files.number(name) for name in names]
    if any(number is not None and number % 1 for number in numbers):
        raise UserError(
            f"{where}: column {column!r} holds numbers such as {min(names)}: kind: regression, or list labels"
        )
    return sorted(names, key=float) if None not in numbers else sorted(names)


def _metrics(where: str, kind: str, labels: int, asked: Sequence[str]) -> list[str]:
    """Give the metrics, the asked first: that is the one learning rates are chosen by."""
    takes = {"regression": ("numbers",), "token": ("classes", "entities")}.get(kind, ("classes",))
    legal = [
        name for name in metrics.NAMES if metrics.takes(name) in takes and (labels == 2 or name not in TWO_CLASSES)
    ]
    for name in asked:
        if name not in legal:
            raise UserError(f"{where}: {unknown('metric', name, legal)}")
    usual = DEFAULTS.get(kind, ("accuracy", "f1") if labels == 2 else ("accuracy", "f1_macro"))
    return list(dict.fromkeys([*asked, *usual]))


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        yield from value if isinstance(value, list) else (value,)
