"""What a figure is drawn from: a recipe, what became of its runs, and the folder with their records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from peftcli import records
from peftcli.errors import unknown
from peftcli.experiment import plan
from peftcli.experiment.recipe import Recipe
from peftcli.report.statistics.describe import finite
from peftcli.report.table import layout, published, selection
from peftcli.report.table import spec as table_spec
from peftcli.report.table.layout import CellRuns, TaskColumn
from peftcli.report.table.published import Published
from peftcli.report.table.selection import Outcome
from peftcli.report.table.spec import View


@dataclass(frozen=True)
class Group:
    """Runs alike but for their seed: one strategy entry, one task column, one learning rate.

    `candidates` are the runs of every learning rate it was chosen among, its own included.
    """

    outcomes: tuple[Outcome, ...]
    candidates: tuple[Outcome, ...]
    column: TaskColumn
    label: str  # the strategy's word
    learning_rate: float


@dataclass(frozen=True)
class Study:
    """A recipe with the outcomes of its runs. `output` is the folder that the records lie in."""

    recipe: Recipe
    outcomes: Sequence[Outcome]
    output: Path

    @cached_property
    def view(self) -> View:
        """The recipe's table: its scale, its deviations' divisor, its rule for learning rates."""
        return table_spec.read(self.recipe)

    @cached_property
    def printed(self) -> tuple[Published, ...]:
        """The paper's printed cells; empty where the recipe names none. Raises UserError."""
        name = self.view.published
        return published.read(self.recipe.path.parent / name) if name else ()

    @cached_property
    def columns(self) -> list[TaskColumn]:
        """The table's task columns, in its order."""
        return layout.task_columns(self.recipe, self.view, self.outcomes)

    def body(self, outcome: Outcome) -> records.Body | None:
        """Read a run's whole record; None where there is none that reads back."""
        if outcome.state in ("missing", "damaged"):
            return None
        try:
            return records.read(self.output / outcome.file).body
        except records.Unreadable:
            return None

    def chosen_columns(self, names: Sequence[str] | None) -> list[TaskColumn]:
        """Return the task columns of these names (a column's or a task's), in their order. Raises UserError."""
        if names is None:
            return self.columns
        for name in names:
            if name not in (legal := [n for c in self.columns for n in (c.column, c.task)]):
                raise unknown("task of this figure", name, dict.fromkeys(legal))
        return [c for name in names for c in self.columns if name in (c.column, c.task)]

    def chosen_outcomes(self, names: Sequence[str] | None) -> list[Outcome]:
        """Return the outcomes of these strategies (by name or label), in their order. Raises UserError."""
        if names is None:
            return list(self.outcomes)
        legal = {n: None for o in self.outcomes for n in (layout.strategy_label(self.recipe, o), o.run.strategy)}
        for name in names:
            if name not in legal:
                raise unknown("strategy of this figure", name, legal)
        return [
            o
            for name in names
            for o in self.outcomes
            if name in (layout.strategy_label(self.recipe, o), o.run.strategy)
        ]

    def groups(
        self, tasks: Sequence[str] | None, strategies: Sequence[str] | None, learning_rate: str | float
    ) -> list[Group]:
        """Group runs by task column, strategy entry and learning rate, in that order.

        `learning_rate` is `all`, `best` (by held-out examples where the recipe's table chooses so, else by the mean over
        seeds), `printed` (by the printed cells, where there are any), or a number: a strategy with one rate alone keeps it.
        Raises UserError for a task, strategy or learning rate that the recipe does not have.
        """
        outcomes = self.chosen_outcomes(strategies)
        groups = []
        # Column by column: the order in which figures are read.
        for column in self.chosen_columns(tasks):
            of_task = [o for o in outcomes if o.planned.task == column.task_entry]
            for entry in dict.fromkeys(o.planned.strategy for o in of_task):
                groups += self._rates([o for o in of_task if o.planned.strategy == entry], column, learning_rate)
        return groups

    def _rates(self, outcomes: list[Outcome], column: TaskColumn, wanted: str | float) -> list[Group]:
        rates, label = by_rate(outcomes), layout.strategy_label(self.recipe, outcomes[0])
        printed = self.best_printed(outcomes, column) if wanted == "printed" else None
        if wanted == "best" or (wanted == "printed" and printed is None):
            split = CellRuns(tuple(outcomes), column, {}).first_split
            split = selection.reported_split(split, outcomes[0].run.protocol)
            # Without any record: the lowest, to show a gap.
            best = selection.best_rate(rates, split, self.view.by_validation) or min(rates)
            # Only this rate was chosen among others by their runs; any other stands for itself.
            return [Group(tuple(rates[best]), tuple(outcomes), column, label, best)]
        chosen = list(rates)
        if printed is not None:
            chosen = [printed[0]]
        elif wanted != "all" and len(rates) > 1:
            if wanted not in rates:
                raise unknown("learning rate of this figure", wanted, map(layout.rate_text, rates))
            chosen = [float(wanted)]
        return [Group(tuple(rates[rate]), tuple(rates[rate]), column, label, rate) for rate in chosen]

    def best_printed(self, outcomes: Iterable[Outcome], column: TaskColumn) -> tuple[float, Published] | None:
        """Return the learning rate whose printed cell is highest, and that cell; the lowest rate of equal cells.

        None where the paper printed none of these runs' cells. Raises UserError where its table cannot be read.
        """
        runs = {rate: of_rate[0].run for rate, of_rate in by_rate(outcomes).items()}
        split = "train" if column.split == "train" else ""
        cells = [
            (rate, published.find(self.printed, run, column.column, column.metric, split)) for rate, run in runs.items()
        ]
        shown = [(rate, cell) for rate, cell in cells if cell is not None and finite([cell.shown])]
        # Rates ascend, and max() takes the first of equals: the lower one.
        return max(shown, key=lambda pair: pair[1].shown or 0.0, default=None)


def study(recipe: Recipe, output: Path) -> Study:
    """Read what became of a recipe's runs. Raises UserError."""
    return Study(recipe, selection.outcomes(plan.expand(recipe), output), output)


def by_rate(outcomes: Iterable[Outcome]) -> dict[float, list[Outcome]]:
    """Group outcomes by learning rate, lowest first."""
    rates: dict[float, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda o: o.run.learning_rate):
        rates.setdefault(outcome.run.learning_rate, []).append(outcome)
    return rates
