"""A table as data: rows, columns and cells with everything that any format shows. Rendering is elsewhere. No torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from peftcli.report.statistics.contrast import ALPHA
from peftcli.report.table.published import Published
from peftcli.report.table.spec import View

State = Literal["complete", "incomplete", "missing"]


@dataclass(frozen=True)
class Tie:
    """Whether a cell is in the group of its column's best, and the p-value that says so; None for the best itself."""

    tied: bool
    p_value: float | None


@dataclass(frozen=True)
class AtRate:
    """What a cell's runs at one learning rate came to: values by seed, every planned one, None for a run that left none.

    `held_out`: their mean on the held-out part of the training set, None without one. `collapsed` and `diverged` count runs.
    `files` are their records by seed, below the results folder.
    """

    values: Mapping[int, float | None]
    held_out: float | None
    collapsed: int
    diverged: int
    files: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """What one strategy came to in one column, in the table's unit (percent or fraction, see `Table.view.scale`).

    `task_entry`: which of the recipe's tasks, from 0. `setting` tells its runs from others of the strategy and column:
    what the recipe's tasks differ in (`train_size`), and `learning_rate` where each has a row of its own.
    `values` are those of the runs at `learning_rate` by seed, None for one that left none (`select: every run`: of all
    runs, by a running number). `n` is how many there are, `planned` how many there should be. `runs` of `runs_planned`
    ended, counting every learning rate that could have been chosen. `missing`, `failed`, `damaged`, `diverged` name
    runs of every learning rate ("rte layernorm lr=0.01 seed=1"), `collapsed` those of the chosen one. `mixed`: of which
    of model, tokenizer, data, device, precision and source its runs had several. `files` are the records of the chosen
    runs by seed, below the results folder. `sources` says where imported ones among its runs come from, `pairs` is the
    table's.
    `held_out`: the runs' mean, by the metric that chooses, on the held-out part of the training set; None without one.
    `by_rate`: each learning rate's mean; `at_rates`: its runs, none over every run.
    `flattery`: the chosen mean minus the mean of the others'.
    `rank`, `std_rank`: 1 for the best, within the column. `tie`: whether it is shown to differ from that best; None
    where it takes no part. `trainable` counts elements, head excluded.
    `difference`: mean (or maximum) minus the published one; None where there is none, or one copied from another paper.
    `published_p`: the p-value of our mean being the printed one's; None where that cannot be tested.
    """

    # Which cell it is.
    strategy: str
    options: Mapping[str, Any]
    setting: Mapping[str, Any]
    task: str
    task_entry: int
    column: str
    split: str
    metric: str
    # What its runs came to: the chosen learning rate's.
    learning_rate: float | None
    values: Mapping[int, float | None]
    mean: float | None
    std: float | None
    maximum: float | None
    ddof: int
    n: int
    planned: int
    runs: int
    runs_planned: int
    files: Mapping[int, str] = field(default_factory=dict)
    # What is amiss, and what choosing did: over all learning rates, but for the collapsed runs.
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    diverged: tuple[str, ...] = ()
    collapsed: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    pairs: bool | None = None
    mean_without_collapsed: float | None = None
    std_without_collapsed: float | None = None
    held_out: float | None = None
    by_rate: Mapping[float, float | None] = field(default_factory=dict)
    at_rates: Mapping[float, AtRate] = field(default_factory=dict)
    flattery: float | None = None
    # Beside the other cells, the model's parameters and the paper.
    rank: int | None = None
    std_rank: int | None = None
    tie: Tie | None = None
    total: int | None = None
    trainable: float | None = None
    trainable_percent: float | None = None
    head: int | None = None
    published: Published | None = None
    difference: float | None = None
    published_p: float | None = None

    @property
    def state(self) -> State:
        """complete: every planned run ended; incomplete: some did not, or left no value; missing: no value at all."""
        # A diverged run has ended without a value: the cell stays incomplete, with nothing left to run.
        if self.n == 0:
            return "missing"
        return "complete" if self.runs == self.runs_planned and self.n == self.planned else "incomplete"

    @property
    def seeds(self) -> frozenset[int] | None:
        """The seeds that the recipe plans for it; two cells with the same ones are compared in pairs.

        None where its runs are imported and the table's `pairs` does not say that their seeds control the same things, where
        some are imported and some not, and where it is over every run.
        """
        # Of what an imported run's seed controlled nothing is recorded.
        apart = "source" in self.mixed or not (self.pairs if self.sources else self.pairs is not False)
        return None if apart or self.mean is None else frozenset(self.values)

    @property
    def differs(self) -> bool | None:
        """Whether it is another than the printed cell by the test, at 0.05; None where that cannot be tested."""
        return None if self.published_p is None else self.published_p < ALPHA

    @property
    def shown(self) -> float | None:
        """The number the cell stands for: the mean, or the maximum where the table prints that."""
        return self.mean if self.mean is not None else self.maximum


@dataclass(frozen=True)
class RowAverage:
    """The average over a row's columns; None while one is missing: `columns` of `planned` are there.

    `std` is the mean of the cells' standard deviations. `incomplete`: a cell behind it lacks runs.
    """

    mean: float | None
    std: float | None
    columns: int
    planned: int
    incomplete: bool
    rank: int | None = None
    std_rank: int | None = None
    published: Published | None = None
    difference: float | None = None


@dataclass(frozen=True)
class Column:
    """A column: its words outermost first, and the task column, split and metric where it has just one.

    `baseline`: what the best constant prediction scores there, in the table's unit.
    """

    path: tuple[str, ...]
    column: str | None = None
    metric: str | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class Parameters:
    """What the leading column says: percent of the model, or millions with the head; `published` as printed; a note."""

    value: float | None
    published: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Row:
    """A row: its words outermost first, a cell (None: the recipe plans no such run) a column, parameters, average."""

    path: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    parameters: Parameters | None = None
    average: RowAverage | None = None


@dataclass(frozen=True)
class Table:
    """A recipe's table. `headers` are the words over the rows' own columns; `notes` what to know when reading it."""

    title: str
    view: View
    headers: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def cells(self) -> Iterator[Cell]:
        """Yield every cell that the recipe plans, row by row."""
        for row in self.rows:
            yield from (cell for cell in row.cells if cell is not None)
