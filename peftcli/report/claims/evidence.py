"""The numbers that claims are judged on, ours or the printed ones, and finding them by the names that claims use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from peftcli.errors import UserError, unknown
from peftcli.report.claims.verdicts import Verdict
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Cell, Column, Row, Table

Measure = Literal["mean", "std"]
Key = tuple[str, str, tuple[tuple[str, Any], ...]]  # column, metric, the settings of its task in the recipe
AVERAGE: Key = ("average", "mean", ())


@dataclass(frozen=True)
class Number:
    """One cell (or a row's average) as a claim sees it, in the table's unit. `table` 0 is the recipe's own.

    `row` is its row's index; `label` and `place` are the table's words for its strategy and its column. `values` are
    by seed, None for printed numbers. `trouble` says why it cannot be used (None: it can); `copied` that the authors
    took it from another paper.
    """

    table: int
    row: int
    label: str
    place: str
    strategy: str
    options: Mapping[str, Any]
    setting: Mapping[str, Any]
    column: str
    metric: str
    mean: float | None
    std: float | None
    n: int | None
    ddof: int
    values: Mapping[int, float | None] | None
    decimals: int
    baseline: float | None = None
    trouble: Verdict | None = None
    copied: bool = False

    @property
    def key(self) -> Key:
        """The column it stands in."""
        own = tuple(item for item in self.setting.items() if item[0] != "learning_rate")
        return self.column, self.metric, own

    def get(self, measure: Measure) -> float | None:
        """The mean or the deviation as printed: rounded to the table's decimals. None where it has none."""
        if measure == "std" and (self.n is not None and self.n < 2):
            return None
        value = self.mean if measure == "mean" else self.std
        return None if value is None else round(value, self.decimals)

    def text(self, measure: Measure) -> str:
        """The number as printed."""
        value = self.get(measure)
        return "-" if value is None else f"{value:.{self.decimals}f}"

    def undecided(self, measure: Measure) -> Verdict | None:
        """Why nothing can be decided with this number; None where it can."""
        if self.trouble:
            return self.trouble
        if self.get(measure) is None:
            return "not enough runs" if self.values is not None else "cannot be judged"
        return None


@dataclass(frozen=True)
class Evidence:
    """All numbers of the recipe's table and of those a claim names besides."""

    numbers: tuple[Number, ...]

    def name(self, key: Key) -> str:
        """A column in the table's words."""
        return next((number.place for number in self.numbers if number.key == key), key[0])

    def columns(self, on: Sequence[str] | None) -> list[Key]:
        """List the columns a check is about; every one of the own table but the average where it names none.

        Raises UserError for a column that is not there.
        """
        own = [number for number in self.numbers if number.table == 0]
        if on is None:
            return list(dict.fromkeys(number.key for number in own if number.key != AVERAGE))
        found: dict[Key, None] = {}
        for text in on:
            selector = Selector.parse(text)
            keys = [number.key for number in own if selector.fits_column(number)]
            if not keys:
                raise UserError(str(unknown("column of a claim", text, dict.fromkeys(n.column for n in own))))
            found |= dict.fromkeys(keys)
        return list(found)

    def rows(self, names: Sequence[str] | None, key: Key) -> list[Number]:
        """Give the numbers of these strategies (all, where None) in a column, copied ones left out.

        A strategy that the own table does not have is looked for in the others. Raises UserError where none has it.
        """
        if names is None:
            return [n for n in self.numbers if n.table == 0 and n.key == key and not n.copied]
        found: dict[int, Number] = {}
        for name in names:
            found |= {id(number): number for number in self._named(name, key)}
        return list(found.values())

    def _named(self, name: str, key: Key) -> list[Number]:
        selector = Selector.parse(name)
        fitting = [number for number in self.numbers if selector.fits(number)]
        if not fitting:
            known = dict.fromkeys(number.strategy for number in self.numbers)
            raise UserError(str(unknown("strategy of a claim", name, known)))
        first = min(number.table for number in fitting)
        return [n for n in fitting if n.table == first and n.key == key and not n.copied]

    def copied(self, key: Key) -> list[Number]:
        """Give the numbers of a column that were left out because they were copied."""
        return [number for number in self.numbers if number.key == key and number.copied]


def best(numbers: Sequence[Number], measure: Measure) -> Number | None:
    """Give the best of some numbers, the highest mean or the lowest deviation; an undecided one if there is any."""
    troubled = next((number for number in numbers if number.undecided(measure)), None)
    if troubled is not None or not numbers:
        return troubled
    return max(numbers, key=lambda number: goodness(number, measure))


def goodness(number: Number, measure: Measure) -> float:
    """A number as printed, larger being better."""
    value = number.get(measure)
    assert value is not None
    return value if measure == "mean" else -value


def gather(tables: Sequence[Table], printed: bool) -> Evidence:
    """Take the numbers of tables, the first being the recipe's own: ours, or the printed ones beside them."""
    return Evidence(tuple(number for at, table in enumerate(tables) for number in _of_table(table, at, printed)))


def _of_table(table: Table, at: int, printed: bool) -> Iterable[Number]:
    for r, row in enumerate(table.rows):
        for cell, column in zip(row.cells, table.columns, strict=True):
            if cell is not None:
                label, place = _words(table, row, column, cell)
                common = _common(cell, table, at, r) | {"label": label, "place": place, "column": cell.column}
                common |= {"metric": cell.metric, "baseline": column.baseline}
                yield Number(**common, **(_printed(cell) if printed else _ours(cell)))
        if row.average is not None:
            yield Number(**_average(row, table, at, r), **(_printed_average(row) if printed else _our_average(row)))


def _words(table: Table, row: Row, column: Column, cell: Cell) -> tuple[str, str]:
    """The words for a cell's strategy, and those for its column: a task, or what the recipe's tasks differ in."""
    dimensions = [*zip(table.view.rows, row.path, strict=True), *zip(table.view.columns, column.path, strict=True)]
    ours = [(name, word) for name, word in dimensions if name == "task" or name in cell.setting]
    place = " ".join(word for name, word in ours if name != "learning_rate") or cell.column
    of_strategy = sorted(
        ((name, word) for name, word in dimensions if name == "learning_rate" or (name, word) not in ours),
        key=lambda pair: pair[0] != "strategy",
    )
    return " ".join(word for _, word in of_strategy), place


def _common(cell: Cell, table: Table, at: int, row: int) -> dict[str, Any]:
    return {
        "table": at,
        "row": row,
        "strategy": cell.strategy,
        "options": cell.options,
        "setting": cell.setting,
        "decimals": table.view.decimals,
    }


def _ours(cell: Cell) -> dict[str, Any]:
    trouble: Verdict | None = "not enough runs" if cell.missing or cell.failed or cell.damaged else None
    if trouble is None and cell.n == 0:
        trouble = "cannot be judged"
    values = {"mean": cell.shown, "std": cell.std, "n": cell.n, "ddof": cell.ddof, "values": cell.values}
    return values | {"trouble": trouble}


def _printed(cell: Cell) -> dict[str, Any]:
    theirs = cell.published
    if theirs is None:
        nothing = dict.fromkeys(("mean", "std", "n", "values"))
        return nothing | {"ddof": cell.ddof, "trouble": "cannot be judged"}
    return {
        "mean": theirs.shown,
        "std": theirs.std,
        "n": theirs.n,
        "ddof": cell.ddof if theirs.ddof is None else theirs.ddof,
        "values": None,
        "copied": theirs.copied_from is not None,
    }


def _average(row: Row, table: Table, at: int, r: int) -> dict[str, Any]:
    cell = next(cell for cell in row.cells if cell is not None)
    rate = {name: value for name, value in cell.setting.items() if name == "learning_rate"}
    label = " ".join(row.path)
    place = table.view.average.label if table.view.average else "average"
    return _common(cell, table, at, r) | {
        "label": label,
        "place": place,
        "setting": rate,
        "column": AVERAGE[0],
        "metric": AVERAGE[1],
        "n": None,
        "ddof": cell.ddof,
    }


def _our_average(row: Row) -> dict[str, Any]:
    assert row.average is not None
    lacking = any(cell is None or cell.missing or cell.failed or cell.damaged for cell in row.cells)
    trouble = "not enough runs" if lacking else None if row.average.mean is not None else "cannot be judged"
    return {"mean": row.average.mean, "std": row.average.std, "values": {}, "trouble": trouble}


def _printed_average(row: Row) -> dict[str, Any]:
    assert row.average is not None
    theirs = row.average.published
    copied = any(cell is not None and cell.published is not None and cell.published.copied_from for cell in row.cells)
    mean, std = (theirs.mean, theirs.std) if theirs else (None, None)
    return {"mean": mean, "std": std, "values": None, "copied": bool(copied)}
