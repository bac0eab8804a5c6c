"""Records made from numbers: runs that end with exactly the values a test wants, by the program's own writer."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from peftcli import records
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from peftcli.report import parameters as parameter_rows
from peftcli.report.table import build, layout, published, selection, spec
from peftcli.report.table.published import Published
from peftcli.report.table.table import Table
from peftcli.tasks import registry as tasks

SCALES = {"percent": 100.0, "fraction": 1.0}
PARAMETERS = {"total": 1_000_000, "trainable": 1000, "head": 10, "trainable_percent": 0.1}
TABLES = (
    *(f"transferability/table{n}" for n in (1, 2, 3, 4)),
    *(f"freezing/table{n}" for n in (1, 2, 3)),
    *(f"effectiveness/table{n}" for n in (1, 2)),
    "spafit/table2",
)
ONE_RATE = {"learning_rates": [1e-3]}  # to keep tests short: what is chosen among is tested with Table 2's seven
Scores = dict[str, dict[str, Any]]  # split -> metric -> fraction
Change = Callable[[Published], float]


def load(name: str) -> Recipe:
    """Load a shipped recipe, the long grids with one learning rate."""
    short = name.startswith("transferability") and not name.endswith("table2")
    return recipes.load(recipes.find(name), dict(ONE_RATE) if short else {})


def values(mean: float, std: float, n: int, ddof: int) -> list[float]:
    """Return n values with this mean and this standard deviation."""
    shape = [(-1.0) ** at for at in range(n - n % 2)] + [0.0] * (n % 2)
    spread = math.sqrt(math.fsum(x * x for x in shape) / (n - ddof)) if n > ddof else 1.0
    return [mean + std * x / spread for x in shape]


def body(scores: Scores, status: str = "completed", **changes: Any) -> dict[str, Any]:
    """Return the body of a record whose last evaluation has these scores."""
    evaluations = [
        {"step": 10, "epoch": 1.0, "split": split, "loss": 0.5, **metrics} for split, metrics in scores.items()
    ]
    whole = {
        "status": status,
        "parameters": PARAMETERS,
        "training": [{"step": 10, "epoch": 1.0, "loss": 0.5, "learning_rate": 1e-4}],
        "evaluations": evaluations if status == "completed" else [],
        "cost": {"seconds": 36.0, "steps": 10, "tokens": 1000, "peak_memory_bytes": None, "cohort": 1},
        "environment": {"python": "3.12", "device": "cpu", "packages": {"torch": "2.13.0"}},
        "data": {"fingerprint": "0", "sizes": {"train": 10}},
        "error": None if status == "completed" else "loss or weights not finite at step 3",
    }
    return whole | changes


def write(output: Path, run: Run, scores: Scores, status: str = "completed", **changes: Any) -> Path:
    """Write a run's record."""
    return records.write(output, run, body(scores, status, **changes))


@contextmanager
def unsynced() -> Iterator[None]:
    """Write without waiting for the disk."""
    with mock.patch("os.fsync"):
        yield


def from_published(recipe: Recipe, output: Path, change: Change | None = None) -> None:
    """Write a record of every run of a recipe, so that each cell has the printed mean and deviation, or maximum.

    Where several learning rates can be chosen, the first has the printed values and each further one a point less.
    `change` gives another mean for a printed cell. Cells that were not printed get 0.1.
    """
    view = spec.read(recipe)
    planned = plan.expand(recipe)
    printed = published.read_beside(recipe, view)
    scores: dict[str, Scores] = {each.run.id: {} for each in planned}
    for column in layout.task_columns(recipe, view, selection.outcomes(planned, output)):
        for group in _groups([each for each in planned if each.task == column.task_entry], view.select):
            cell = published.find(printed, group[0][0].run, column.column, column.metric)
            for rate, seeds in enumerate(group):
                for each, value in zip(seeds, _values(cell, seeds, rate, view, change), strict=True):
                    split = selection.reported_split(column.split, each.run.protocol)
                    scores[each.run.id].setdefault(split, {})[column.metric] = value
    counts = {(row["strategy"], str(row["options"])): row for row in parameter_rows.rows(recipe)}
    with unsynced():
        for each in planned:
            own_counts = {key: counts[each.run.strategy, str(each.run.options)][key] for key in PARAMETERS}
            write(output, each.run, _whole(each.run, scores[each.run.id]), parameters=own_counts)


def _groups(planned: Sequence[Planned], select: str) -> Iterable[list[list[Planned]]]:
    """Runs of one cell, by learning rate."""
    cells: dict[Any, dict[float, list[Planned]]] = {}
    for each in planned:
        apart = each.run.learning_rate if select == "every learning rate" else None
        cells.setdefault((each.strategy, apart), {}).setdefault(each.run.learning_rate, []).append(each)
    return [list(rates.values()) for rates in cells.values()]


def _values(
    cell: Published | None, seeds: Sequence[Planned], rate: int, view: spec.View, change: Change | None
) -> list[float]:
    if cell is None or cell.shown is None:
        return [0.1] * len(seeds)
    mean = (change(cell) if change else cell.shown) - rate / SCALES[view.scale] * 100
    ddof = view.ddof if cell.ddof is None else cell.ddof
    return [value / SCALES[view.scale] for value in values(mean, cell.std or 0.0, len(seeds), ddof)]


def _whole(run: Run, scores: Scores) -> Scores:
    """Add what choosing looks at: every metric on every split, and a held-out split where the protocol has one."""
    metrics = tasks.TASKS[run.task].metrics
    whole = {split: {**dict.fromkeys(metrics, 0.1), **scored} for split, scored in scores.items()}
    if run.protocol.validation_share:
        # As good as what is reported, so that learning rates are chosen as the printed numbers would choose them.
        whole["validation"] = dict(next(iter(whole.values())))
    return whole


SMALL = {
    "title": "Small",
    "model": "minilm",
    "tasks": ["rte", "cola"],
    "strategies": ["full", "layernorm"],
    "learning_rates": [1e-4, 1e-3],
    "seeds": 3,
}


def small(**changes: Any) -> Recipe:
    """Return a small recipe: two strategies, two tasks, two learning rates, three seeds; no paper's."""
    return recipes.build({**SMALL, **changes}, Path("small.yaml"), {})


def runs(recipe: Recipe, **wanted: Any) -> list[Run]:
    """Return the runs of a recipe that have these fields."""
    everyone = [each.run for each in plan.expand(recipe)]
    return [run for run in everyone if all(getattr(run, key) == value for key, value in wanted.items())]


def score_of(run: Run) -> float:
    """Return a number of its own for every run, in (0, 1)."""
    return np.random.default_rng([run.seed, int(run.learning_rate * 1e6), len(run.strategy), len(run.task)]).random()


def tabulate(recipe: Recipe, output: Path) -> Table:
    """Make a recipe's table from the records in a folder."""
    return build.tabulate(recipe, selection.outcomes(plan.expand(recipe), output))


def fill(recipe: Recipe, output: Path, value: Callable[[Run], float]) -> None:
    """Write a record of every run, its metrics all of this value (a fraction)."""
    with unsynced():
        for run in runs(recipe):
            write(output, run, {"validation": dict.fromkeys(tasks.TASKS[run.task].metrics, value(run))})
