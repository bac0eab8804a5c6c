"""What a paper printed: the CSV beside a recipe, matched to the recipe's runs."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftcli import documents
from peftcli.errors import UserError, key_value, unknown
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from peftcli.files import read_text
from peftcli.report.table import selectors
from peftcli.report.table.spec import View

# The columns of the file: what a cell is and what is said of it, then the numbers; a file need not have them all.
KEYS = ("strategy", "setting", "task", "metric", "split", "n", "ddof", "copied_from")
NUMBERS = ("mean", "std", "max", "trainable_percent", "trainable_millions")


@dataclass(frozen=True)
class Published:
    """One printed cell, in the paper's unit; `n` and `ddof` are None where not stated.

    `task` is a column (`mnli_matched`) or `average`. `setting` holds what tells the row from others of its strategy:
    options, `lr`, `layer`, `train_size`. `copied_from` names the paper that the authors took the cell from.
    `decimals` are those of the printed mean or maximum, `std_decimals` of the deviation. `split` is `train` for a score
    on the training set.
    """

    strategy: str
    setting: dict[str, Any]
    task: str
    metric: str
    mean: float | None
    std: float | None
    maximum: float | None
    trainable_percent: float | None
    trainable_millions: float | None
    n: int | None
    ddof: int | None
    copied_from: str | None
    decimals: int
    std_decimals: int = 0
    split: str = ""

    @property
    def shown(self) -> float | None:
        """The number the cell stands for: the mean, or the maximum."""
        return self.mean if self.mean is not None else self.maximum


def read(path: Path) -> tuple[Published, ...]:
    """Read a CSV of printed cells. Raises UserError for a file that is missing or holds anything else."""
    lines = csv.DictReader(io.StringIO(read_text(path, "published table"), newline=""))
    names = lines.fieldnames or ()
    for name in names:
        if name not in (*KEYS, *NUMBERS):
            raise UserError(f"published table {path.name}: {unknown('column', name, (*KEYS, *NUMBERS))}")
    rows = list(lines)
    if not rows:
        raise UserError(f"published table {path.name} holds no cell")
    # Lines count from 1, and the first holds the columns' names.
    cells = tuple(_cell(row, f"published table {path.name}, line {line}") for line, row in enumerate(rows, 2))
    # Without one of these no cell of ours would find its printed one.
    for needed in (("strategy",), ("task",), ("metric",), ("mean", "max")):
        if not set(needed) & set(names):
            raise UserError(
                f"published table {path.name} has no column {' or '.join(needed)}: it has {', '.join(names)}"
            )
    return cells


def read_beside(recipe: Recipe, view: View) -> tuple[Published, ...]:
    """Read the printed cells that lie beside a recipe; none where its table names no file. Raises UserError."""
    return read(recipe.path.parent / view.published) if view.published else ()


def find(cells: Sequence[Published], run: Run, column: str, metric: str, split: str = "") -> Published | None:
    """Return the printed cell of a run's strategy, options and settings in a column; `split` may be `train`."""
    for cell in cells:
        same = (cell.strategy, cell.task, cell.metric, cell.split) == (run.strategy, column, metric, split)
        if same and fits(cell.setting, run):
            return cell
    return None


def find_average(cells: Sequence[Published], run: Run) -> Published | None:
    """Return the printed average of a run's row."""
    averages = (cell for cell in cells if cell.task == "average" and cell.strategy == run.strategy)
    return next((cell for cell in averages if fits(cell.setting, run)), None)


def fits(setting: dict[str, Any], run: Run) -> bool:
    """Say whether a run has everything that a setting names."""
    # Options hide settings of the same name, as in the table's rows and columns.
    return selectors.matches({**run.protocol.model_dump(), **run.options, "learning_rate": run.learning_rate}, setting)


def _cell(row: dict[str, str], where: str) -> Published:
    """Read a line of the file; an empty or absent field is None. Raises UserError."""
    shown = row.get("mean") or row.get("max") or ""
    return Published(
        strategy=row.get("strategy") or "",
        setting=parse_setting(row.get("setting") or "", where),
        task=row.get("task") or "",
        metric=row.get("metric") or "",
        mean=_number(row, "mean", where),
        std=_number(row, "std", where),
        maximum=_number(row, "max", where),
        trainable_percent=_number(row, "trainable_percent", where),
        trainable_millions=_number(row, "trainable_millions", where),
        n=_whole(row, "n", where),
        ddof=_whole(row, "ddof", where),
        copied_from=row.get("copied_from") or None,
        # As printed, trailing zeros included: 58.30 stands for 58.295 to 58.305.
        decimals=_decimals(shown),
        std_decimals=_decimals(row.get("std") or ""),
        split=row.get("split") or "",
    )


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def parse_setting(text: str, where: str = "setting") -> dict[str, Any]:
    """Read `lr=1e-4;train_size=all`, `layer=3`, or spafit's `8-12-II` (groups and variant).

    Raises UserError for anything else; `where` leads its message.
    """
    # As the paper prints spafit's rows: two numbers for the groups of layers, and the variant.
    if groups := re.fullmatch(r"(\d+)-(\d+)-(\w+)", text):
        return {"groups": [int(groups[1]), int(groups[2])], "variant": groups[3]}
    pairs = (key_value(pair, f"{where}: {pair!r} is not key=value") for pair in filter(None, text.split(";")))
    return {key: documents.parse(value) for key, value in pairs}


def _number(row: dict[str, str], key: str, where: str) -> float | None:
    text = row.get(key)  # None where the file has no such column
    try:
        return float(text) if text else None
    except ValueError:
        raise UserError(f"{where}: {key} {text!r} is not a number") from None


def _whole(row: dict[str, str], key: str, where: str) -> int | None:
    value = _number(row, key, where)
    return None if value is None else int(value)
