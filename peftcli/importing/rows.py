"""A table of runs, read row by row: what each is of, and what was measured. No torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from peftcli.errors import LONGEST, UserError
from peftcli.experiment.recipe import Recipe
from peftcli.importing import header as headers
from peftcli.importing import values
from peftcli.importing.header import Header
from peftcli.records import flat
from peftcli.records.body import Status
from peftcli.tasks import tabular

TEXTS = ("task", "strategy", "model", "run", "status", "error")
STATUSES: tuple[str, ...] = get_args(Status)
Reader = Callable[[Iterable[Any], str], list[Any]]
READERS: dict[str, Reader] = {"loss": values.losses, headers.COLLAPSED: values.truths}  # of what is no fraction
Scores = Mapping[tuple[str, str | None], float]  # (split, metric; None: the one that evaluations are chosen by)


@dataclass(frozen=True)
class Measured:
    """What was measured at one moment of a run; `step` and `epoch` are None where that is not said.

    `scores` are fractions, losses as they are. `training_loss` is the mean over the steps before.
    """

    step: int | None
    epoch: float | None
    scores: Scores
    training_loss: float | None = None


@dataclass(frozen=True)
class Row:
    """One row. What the file does not say is None, and seeds it must; `repeat` is 0 where runs of a seed are not told apart.

    `empty`: the settings that have a column, and nothing in this row. `parts`: a record's cost, environment and data, by
    column. `best`: split -> the score of its best evaluation, which was at `best_steps` (`first_best`, `last_best`).
    """

    number: int
    words: Mapping[str, str]  # of TEXTS
    learning_rate: float | None
    seed: int
    repeat: int
    settings: Mapping[str, Any]
    measured: Measured
    best: Mapping[str, float]
    best_steps: Mapping[str, int]
    parameters: Mapping[str, float]
    parts: Mapping[str, Any] = field(default_factory=dict)
    empty: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Table:
    """A file's rows, and the columns that mean nothing here."""

    rows: tuple[Row, ...]
    unknown: tuple[str, ...]


def read(file: Path, recipe: Recipe, renamed: Mapping[str, str]) -> Table:
    """Read a table of runs. Raises UserError for a file or value that cannot be read, and without seeds or scores."""
    columns = tabular.every_column(file).values
    header = headers.read(columns, recipe, renamed)
    if "seed" not in header.words:
        shown = ", ".join(columns)
        raise UserError(
            f"{file}: no column seed: name the one that tells runs apart, --column seed=COLUMN; "
            f"it has {shown if len(shown) <= LONGEST else shown[:LONGEST] + '…'}"
        )
    typed = _typed(file, columns, header)
    measured = measurements(file, columns, header)
    rows = []
    for number in range(len(next(iter(columns.values())))):
        of = {name: column[number] for name, column in typed.items() if column[number] is not None}
        if "seed" not in of or not 0 <= of["seed"] < 2**63:
            raise UserError(f"{file}, row {number} (from 0): seed {of.get('seed', 'is empty')}: a whole number from 0")
        rows.append(
            Row(
                number=number,
                words={name: of[name] for name in TEXTS if name in of},
                learning_rate=of.get("learning_rate"),
                seed=of["seed"],
                repeat=of.get("repeat", 0),
                settings={setting: of[column] for column, setting in header.settings.items() if column in of},
                empty=frozenset(setting for column, setting in header.settings.items() if column not in of),
                measured=measured[number],
                best={split: of[column] for column, split in header.best.items() if column in of},
                best_steps={name: of[name] for name in headers.BEST_STEPS if name in of},
                parameters={name: of[name] for name in headers.COUNTS if name in of},
                parts={column: of[column] for column in header.parts if column in of},
            )
        )
    return Table(tuple(rows), header.unknown)


def _typed(file: Path, columns: Mapping[str, Sequence[Any]], header: Header) -> dict[str, list[Any]]:
    """Return what is said of runs, by word, or column of a setting or best score: each [rows], None where nothing is."""
    typed: dict[str, list[Any]] = {}
    for word, column in header.words.items():
        where = f"{file}: column {column!r}"
        if word == "status":
            typed[word] = values.one_of(columns[column], STATUSES, where)
        elif word in TEXTS:
            typed[word] = values.words(columns[column])
        elif word in ("seed", "repeat", "total", "trainable", "head", *headers.BEST_STEPS):
            typed[word] = values.whole(columns[column], where)
        elif word in ("learning_rate", "trainable_percent"):
            typed[word] = values.numbers(columns[column], where)
    for column in header.settings:  # not by the setting: `protocol.head` is one, and `head` a count
        typed[column] = values.settings(columns[column], f"{file}: column {column!r}")
    for column in header.parts:
        typed[column] = values.BY_KIND[flat.kind(column) or str](columns[column], f"{file}: column {column!r}")
    return typed | {column: values.fractions(columns[column], f"{file}: column {column!r}") for column in header.best}


def measurements(file: Path, columns: Mapping[str, Sequence[Any]], header: Header) -> list[Measured]:
    """Return what each row measured. Raises UserError for a score whose split nothing says."""
    rows = len(next(iter(columns.values())))
    nothing: list[Any] = [None] * rows

    def column(word: str, read: Any) -> list[Any]:
        name = header.words.get(word)
        return nothing if name is None else read(columns[name], f"{file}: column {name!r}")

    steps, epochs = column("step", values.whole), column("epoch", values.numbers)
    for row, step in enumerate(steps):
        if step is not None and step < 0:
            raise UserError(f"{file}, row {row} (from 0): step {step} is below 0")
    losses = column(headers.TRAINING_LOSS, values.losses)
    splits = values.words(columns[header.words["split"]]) if "split" in header.words else nothing
    scores: list[dict[tuple[str, str | None], float]] = [{} for _ in range(rows)]
    for name, (split, metric) in header.scores.items():
        read: Reader = READERS.get(metric or "", values.fractions)
        for row, value in enumerate(read(columns[name], f"{file}: column {name!r}")):
            if value is None:
                continue
            of = split or splits[row]
            if of is None:
                raise UserError(
                    f"{file}, row {row} (from 0): nothing says of which split {name!r} is: name the column "
                    f"test_{name} or validation_{name}, or add a column split"
                )
            scores[row][of, metric] = value
    return [Measured(*each) for each in zip(steps, epochs, scores, losses, strict=True)]
