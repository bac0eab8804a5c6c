"""What a plan of seeds rests on: a recipe's tables, and of every number our own where three seeds ended, else the printed one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.report.claims.evidence import AVERAGE, Evidence, Number
from peftcli.report.claims.gathering import gather
from peftcli.report.claims.spec import Claim
from peftcli.report.statistics import describe
from peftcli.report.statistics.contrast import LEAST_SEEDS
from peftcli.report.table import build, layout, selection
from peftcli.report.table.selection import Outcome
from peftcli.report.table.table import Cell, Table


@dataclass(frozen=True)
class Basis:
    """Tables, the recipe's own first and then those of the files `beside` it, and the numbers that are planned with.

    `cells` and `runs`: of each number that is no average, by its identity, the cell and every run that fills it, at all
    learning rates that can be chosen.
    """

    tables: tuple[Table, ...]
    beside: tuple[str, ...]
    evidence: Evidence
    cells: Mapping[int, Cell]
    runs: Mapping[int, Sequence[Outcome]]

    def of_claim(self, claim: Claim) -> Evidence:
        """Return the numbers that count for a claim: those of the own table and of those that it names."""
        tables = {0, *(self.beside.index(name) + 1 for name in claim.tables)}
        return Evidence(tuple(number for number in self.evidence.numbers if number.table in tables))

    def parts(self, number: Number) -> list[Number]:
        """Return the numbers that a number is the mean of: its row's, for an average; else itself."""
        if number.key != AVERAGE:
            return [number]
        row = number.table, number.row
        return [each for each in self.evidence.numbers if (each.table, each.row) == row and each.key != AVERAGE]

    def cells_of(self, number: Number) -> list[Cell]:
        """Return the cells behind a number: several for an average."""
        return [self.cells[id(part)] for part in self.parts(number)]

    def runs_of(self, number: Number) -> list[Sequence[Outcome]]:
        """Return the runs behind a number, cell by cell."""
        return [self.runs[id(part)] for part in self.parts(number)]


def gather_all(recipe: Recipe, planned: Sequence[Planned], beside: Sequence[str], output: Path) -> Basis:
    """Read the records of a recipe's `planned` runs, and of recipes `beside` it, by their files' names. Raises UserError."""
    tables, filled = list[Table](), list[tuple[Cell, Sequence[Outcome]]]()
    others = [recipes.load(recipe.path.parent / name) for name in beside]
    for index, each in enumerate((recipe, *others)):
        outcomes = selection.outcomes(plan.expand(each) if index else planned, output)
        # Without the column of parameters, which nothing here asks for.
        table = build.tabulate(
            each.model_copy(update={"table": {**(each.table or {}), "parameters": "none"}}), outcomes
        )
        cells = layout.lay_out(each, table.view, outcomes).cells
        tables.append(table)
        filled += [
            (cell, cells[row.path, column.path].outcomes)
            for row in table.rows
            for cell, column in zip(row.cells, table.columns, strict=True)
            if cell is not None
        ]
    ours, printed = gather(tables, printed=False), gather(tables, printed=True)
    numbers = tuple(_to_plan_with(*each) for each in zip(ours.numbers, printed.numbers, strict=True))
    # Numbers come table by table and row by row, as the cells do; an average stands between them, and has none.
    single = [id(number) for number in numbers if number.key != AVERAGE]
    return Basis(
        tuple(tables),
        tuple(beside),
        Evidence(numbers),
        {number: cell for number, (cell, _) in zip(single, filled, strict=True)},
        {number: runs for number, (_, runs) in zip(single, filled, strict=True)},
    )


def _to_plan_with(ours: Number, printed: Number) -> Number:
    """Return our number where enough of its seeds have one, the rest of its runs missing or not; else the printed one."""
    if ours.values and len(describe.finite(ours.values.values())) >= LEAST_SEEDS:
        return replace(ours, trouble=None)
    return printed if printed.mean is not None else ours
