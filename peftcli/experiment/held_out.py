"""The rows of official training sets that a paper's authors held out, for `validation_split: authors`. No torch."""

import json
from functools import cache

from peftcli.errors import UserError, unknown
from peftcli.experiment import recipe
from peftcli.tasks.registry import TASKS

FILE = "effectiveness/validation_rows.json"  # among the recipes, with its source


def rows(task: str, size: int | None = None) -> tuple[int, ...]:
    """Return the rows of a task's official training set that were held out, ascending, from 0 in the data set's order.

    Raises UserError for a task without any, and where a training set of this `size` is not the official one.
    """
    by_task = _rows()
    if task not in by_task:
        raise UserError(f"validation_split authors: {unknown('task', task, by_task)}")
    official = TASKS[task].sizes["train"]
    if size not in (None, official):  # where an example is left out, the rows behind it are others
        raise UserError(
            f"validation_split authors: the rows are of {official} training examples, and here are {size} "
            "(overlong: truncate leaves none out)"
        )
    return by_task[task]


@cache
def _rows() -> dict[str, tuple[int, ...]]:
    document = json.loads((recipe.root() / FILE).read_text(encoding="utf-8"))
    return {task: tuple(held_out) for task, held_out in document["rows"].items()}
