"""Taking the numbers that claims are judged on from tables: our own of each cell, or those the paper printed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peftcli.report.claims import sampling
from peftcli.report.claims.evidence import AVERAGE, Evidence, Number
from peftcli.report.claims.verdicts import Verdict
from peftcli.report.table.table import Cell, Column, Row, Table


@dataclass(frozen=True)
class Gathered:
    """Every kind of number that claims over some tables are judged on; the recipe's own table is the first.

    `printed`: None where no paper printed any. `by_test`: ours with the learning rates that the numbers shown choose, None
    where nothing is held out, so that they choose all the same.
    """

    tables: tuple[Table, ...]
    ours: Evidence
    printed: Evidence | None
    by_test: Evidence | None


def gather_all(tables: Sequence[Table], output: Path | None = None, beside: Path | None = None) -> Gathered:
    """Take all numbers of tables: once for all claims that are over these. For `output` and `beside` see `Evidence`."""
    of_a_paper = tables[0].view.published is not None or tables[0].view.model is not None
    held_out = any(cell.held_out is not None for table in tables for cell in table.cells())

    def numbers(printed: bool, by_test: bool = False) -> Evidence:
        return replace(gather(tables, printed, by_test), output=output, beside=beside)

    in_print, chosen_by_test = (numbers(True) if of_a_paper else None, numbers(False, True) if held_out else None)
    return Gathered(tuple(tables), numbers(False), in_print, chosen_by_test)


def gather(tables: Sequence[Table], printed: bool, by_test: bool = False) -> Evidence:
    """Take the numbers of tables, the first being the recipe's own: ours, or the printed ones beside them.

    Of ours, the learning rate of a strategy is chosen by held-out examples where a table has a row for every rate;
    `by_test` chooses it by the numbers shown, as one can of printed ones alone.
    """
    numbers = (number for index, table in enumerate(tables) for number in _of_table(table, index, printed, by_test))
    return Evidence(
        tuple(replace(number, held_out=None) if by_test else number for number in numbers),
        unit=0.01 if tables[0].view.scale == "fraction" else 1.0,
        decimals=tables[0].view.decimals,
    )


def _of_table(table: Table, index: int, printed: bool, by_test: bool) -> Iterable[Number]:
    """Yield the numbers of a table row by row, a row's average behind its cells."""
    for row_index, row in enumerate(table.rows):
        for cell, column in zip(row.cells, table.columns, strict=True):
            if cell is not None:
                label, column_label = _labels(table, row, column, cell)
                common = _common(cell, table, index, row_index) | {
                    "label": label,
                    "column_label": column_label,
                    "setting": cell.setting,
                    "column": cell.column,
                    "metric": cell.metric,
                    "baseline": column.baseline,
                }
                if printed:
                    yield Number(**common, **_printed(cell), **sampling.printed(cell, table.view, label))
                else:
                    yield Number(**common, **_ours(cell), **sampling.ours(cell, table.view, label, by_test))
        if row.average is not None:
            common = _average(row, table, index, row_index)
            if printed:
                yield Number(
                    **common, **_printed_average(row), **sampling.printed_average(row, table.view, common["label"])
                )
            else:
                samples = sampling.our_average(row, table.view, common["label"], by_test)
                yield Number(**common, **_our_average(row), **samples)


def _labels(table: Table, row: Row, column: Column, cell: Cell) -> tuple[str, str]:
    """The words for a cell's strategy, and those for its column: a task, or what the recipe's tasks differ in."""
    dimensions = [*zip(table.view.rows, row.path, strict=True), *zip(table.view.columns, column.path, strict=True)]
    # What tells tasks apart may be laid out over rows too; a learning rate belongs to the strategy all the same.
    of_column = [(name, word) for name, word in dimensions if name == "task" or name in cell.setting]
    column_label = " ".join(word for name, word in of_column if name != "learning_rate") or cell.column
    of_strategy = sorted(
        ((name, word) for name, word in dimensions if name == "learning_rate" or (name, word) not in of_column),
        key=lambda pair: pair[0] != "strategy",  # the strategy's own word first, the others in the table's order
    )
    return " ".join(word for _, word in of_strategy), column_label


def _common(cell: Cell, table: Table, index: int, row: int) -> dict[str, Any]:
    return {
        "table": index,
        "row": row,
        "strategy": cell.strategy,
        "options": cell.options,
        "decimals": table.view.decimals,
    }


def _ours(cell: Cell) -> dict[str, Any]:
    trouble: Verdict | None = "not enough runs" if cell.missing or cell.failed or cell.damaged else None
    if trouble is None and cell.n == 0:
        trouble = "cannot be judged"  # every run ended, none with a value: more runs would not help
    values = {"mean": cell.shown, "std": cell.std, "n": cell.n, "ddof": cell.ddof, "values": cell.values}
    return values | {"trouble": trouble, "diverged": len(cell.diverged), "held_out": cell.held_out, "files": cell.files}


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


def _average(row: Row, table: Table, index: int, row_index: int) -> dict[str, Any]:
    cell = next(cell for cell in row.cells if cell is not None)  # a row's cells are of one strategy
    return _common(cell, table, index, row_index) | {
        "label": " ".join(row.path),
        "column_label": table.view.average.label if table.view.average else "average",
        "setting": {name: value for name, value in cell.setting.items() if name == "learning_rate"},
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
    # An average over copied cells is no more the authors' own measurement than the cells are.
    copied = any(cell is not None and cell.published is not None and cell.published.copied_from for cell in row.cells)
    mean, std = (theirs.mean, theirs.std) if theirs else (None, None)
    return {"mean": mean, "std": std, "values": None, "copied": bool(copied)}
