"""Custom tasks: what a recipe says of the user's own data, and the task that this makes. No torch.

`tasks: [{name: mine, data: folder, text: [a, b], label: y, metric: f1}]` with files named train and validation.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from peftcli.errors import LONGEST, UserError, first_error, unknown
from peftcli.tasks import imported_only, labels, metrics, own_files, registry, tabular
from peftcli.tasks.registry import Task

# The option that a custom task's `label` becomes, since `label` in any other entry is what tables call the task.
COLUMN = "label_column"
DEFAULTS = {
    "regression": ("spearman", "pearson", "mean_pearson_spearman"),
    "token": ("accuracy", "f1_macro", "f1_micro"),
}
TWO_CLASSES = ("f1", "mean_accuracy_f1")  # metrics that are defined for two classes alone

Seen = dict[str, str]  # a label as it is spelled -> the file and row where it stands first


class Description(BaseModel):
    """A custom task as a recipe describes it. `kind` is by default `sentence` with one text and `pair` with two."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    data: Annotated[str, Field(min_length=1)] = Field(
        description="The folder with the files named train and validation (CSV, TSV, JSON or parquet), or one file."
    )
    text: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(
        description="The columns of the text, one or two."
    )
    label: str = Field(default="label", description="The column of the labels.")
    kind: Literal["sentence", "pair", "regression", "token"] | None = Field(
        default=None, description="What is predicted; by default sentence with one text, pair with two."
    )
    labels: Annotated[list[str], Field(min_length=2)] | None = Field(
        default=None, description="The labels in order; by default those in the files, sorted."
    )
    metric: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        description="The metrics, the one that chooses first; by default those that are usual for the kind.",
    )

    @field_validator("text", "metric", mode="before", json_schema_input_type=str | list[str] | None)
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("labels", mode="before", json_schema_input_type=list[str | int | float | bool] | None)
    @classmethod
    def _labels_are_text(cls, value: Any) -> Any:
        if isinstance(value, list) and None in value:
            raise ValueError("YAML reads null and ~ as nothing: a label of that name stands in quotes, 'null'")
        # YAML reads `labels: [0, 1]` as numbers, and a CSV file holds the same labels as text
        return list(map(str, value)) if isinstance(value, list) else value

    # A column joined with itself is no pair, and of a label's two numbers only one would ever be trained.
    @field_validator("text", "labels")
    @classmethod
    def _each_once(cls, names: list[str] | None) -> list[str] | None:
        twice = [name for name, count in Counter(names or ()).items() if count > 1]
        if twice:
            raise ValueError(f"names {twice[0]!r} twice: each once")
        return names


def task(name: str, description: Mapping[str, Any] | None) -> Task:
    """Return a task by its name, or a custom one from the description that its runs hold. Raises UserError."""
    if description is None:
        return registry.get(name)
    if description["kind"] == imported_only.KEY:
        return imported_only.task(name, description["metrics"])
    return Task(
        name=name,
        data=own_files.SOURCE,
        subset=None,
        kind=description["kind"],
        text=tuple(description["text"]),
        labels=tuple(description["labels"]),
        metrics=tuple(description["metrics"]),
        sizes={},
        label=description["label"],
    )


def check(name: str, description: Mapping[str, Any], location: Path) -> None:
    """Refuse files other than those that a custom task was described from. Raises UserError."""
    fingerprint, expected = own_files.fingerprint(location), description["fingerprint"]
    if fingerprint != expected:
        raise UserError(
            f"task {name}: {location} is not the data of this run: its fingerprint is {fingerprint}, not {expected}"
        )


def entry(recipe: Path, task: str, options: Mapping[str, Any]) -> Description:
    """Check what a recipe says of a custom task, without its files. Raises UserError for an illegal key or value."""
    where = f"recipe {recipe.name}: task {task}"
    try:
        stated = Description.model_validate({"label" if k == COLUMN else k: value for k, value in options.items()})
    except ValidationError as error:
        raise first_error(error, where, "key", Description.model_fields) from None
    pair = stated.kind == "pair" or (stated.kind is None and len(stated.text) == 2)
    if pair != (len(stated.text) == 2) and stated.kind != "regression":
        raise UserError(
            f"{where}: kind {stated.kind} with {len(stated.text)} text columns: a pair has two, the others one"
        )
    return stated


def describe(recipe: Path, task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run holds of a custom task, from its entry in a recipe and its files.

    Runs hold a fingerprint of the files in place of their path, so the same data gives the same run ids everywhere.
    Raises UserError for an illegal key or value, and for files that are missing or do not fit the entry.
    """
    where = f"recipe {recipe.name}: task {task}"
    if imported_only.KEY in options:
        return imported_only.describe(where, options)
    stated = entry(recipe, task, options)
    kind = stated.kind or ("pair" if len(stated.text) == 2 else "sentence")
    data = location(recipe, options)
    try:
        splits, classes = _spellings(own_files.of_splits(data, ("train", "validation")), stated, kind)
        names = [] if kind == "regression" else stated.labels or classes or _labels(kind, splits, stated.label)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return {
        "kind": kind,
        "text": list(stated.text),
        "label": stated.label,
        "labels": names,
        "metrics": _metrics(where, kind, len(names), stated.metric or []),
        "fingerprint": own_files.fingerprint(data),
    }


def location(recipe: Path, options: Mapping[str, Any]) -> Path:
    """Return the file or folder that a custom task's entry names, which is relative to the recipe."""
    return (recipe.parent / Path(str(options["data"])).expanduser()).resolve()


def locations(recipe: Path, entries: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Path]:
    """Return the files or folders of a recipe's custom tasks by name, from the names and options of all its tasks."""
    return {name: location(recipe, options) for name, options in entries if "data" in options}


def _spellings(
    splits: Mapping[str, Sequence[Path]], entry: Description, kind: str
) -> tuple[dict[str, Seen], list[str]]:
    """Return split -> its labels, and where each stands first; and the classes in the order in which files state them.

    Raises UserError for a missing label or column.
    """
    seen: dict[str, Seen] = {}
    classes: dict[str, None] = {}
    for split, paths in splits.items():
        seen[split] = {}
        for file in paths:
            read = tabular.columns(file, (*entry.text, entry.label))
            where = f"{file}: column {entry.label!r}"
            classes |= dict.fromkeys(read.classes.get(entry.label, ()))
            values = own_files.named(read, entry.label, kind, where)
            for row, spellings in enumerate(labels.spelled(values, where, kind == "token")):
                for spelling in spellings:
                    if spelling not in seen[split] and not (kind == "token" and labels.is_ignored(spelling)):
                        seen[split][spelling] = f"{file.name}, row {row} from 0"
    return seen, list(classes) if len(classes) > 1 else []


def _labels(kind: str, splits: Mapping[str, Seen], column: str) -> list[str]:
    """Return the classes of the training and validation rows: in the order of numbers where all are, else of text."""
    class_of = labels.merged(spelling for seen in splits.values() for spelling in seen)
    classes = list(dict.fromkeys(class_of.values()))
    if len(classes) < 2:
        raise UserError(f"column {column!r} has {f'one label alone: {classes[0]!r}' if classes else 'no label at all'}")
    numbers = [labels.number(spelling) for spelling in splits["train"]]
    # Fractions are scores: a class a value would train, and mean nothing.
    if None not in numbers and any(number != number.to_integral_value() for number in numbers if number is not None):
        raise UserError(
            f"column {column!r} holds numbers such as {min(splits['train'])}: kind: regression, or list labels"
        )
    trained = {class_of[spelling]: f"{spelling!r} ({first_row})" for spelling, first_row in splits["train"].items()}
    for spelling, first_row in splits.get("validation", {}).items():
        if class_of[spelling] not in trained:
            _check_untrained(kind, spelling, first_row, trained, classes)
    # Case may be meant where there are hundreds of tags (NN, nn), and blanks never are.
    likeness = labels.without_blanks if kind == "token" else labels.without_case
    for alike in labels.twins(trained, likeness):
        raise UserError(f"labels {' and '.join(trained[name] for name in alike)} differ in spelling: {_mend(classes)}")
    return classes


def _check_untrained(kind: str, spelling: str, first_row: str, trained: Seen, classes: Sequence[str]) -> None:
    """Refuse a label that no training row has.

    Nothing can learn it, and every metric counts it. Where it looks like a label of training it is that label, spelled
    otherwise. Else it is a mistake where a row has one label; a tag that is rare among words may well be in the
    validation set alone, and reading the data remarks on it.
    """
    for name in trained:
        if labels.without_case(name) == labels.without_case(spelling):
            raise UserError(
                f"label {spelling!r} ({first_row}) is in no training row, but {trained[name]}: {_mend(classes)}"
            )
    if kind != "token":
        raise UserError(f"label {spelling!r} ({first_row}) is in no training row: {_mend(classes)}")


def _mend(classes: Sequence[str]) -> str:
    # In the order they would have had, so that the runs' ids are those of before.
    listed = json.dumps(classes, ensure_ascii=False)
    return f"mend the files, or list what are classes: labels: {listed if len(listed) <= LONGEST else '[...]'}"


def _metrics(where: str, kind: str, labels: int, requested: Sequence[str]) -> list[str]:
    """Return the metrics, the requested ones first: learning rates are chosen by the first of all."""
    takes = {"regression": ("numbers",), "token": ("classes", "entities")}.get(kind, ("classes",))
    legal = [
        name for name in metrics.NAMES if metrics.takes(name) in takes and (labels == 2 or name not in TWO_CLASSES)
    ]
    for name in requested:
        if name not in legal:
            raise UserError(f"{where}: {unknown('metric', name, legal)}")
    defaults = DEFAULTS.get(kind, ("accuracy", "f1") if labels == 2 else ("accuracy", "f1_macro"))
    return list(dict.fromkeys([*requested, *defaults]))
