"""A report as data: every digit, n, standard deviation and its ddof, 95 % interval. CSV has a line a cell, JSON all."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from peftcli.experiment import shipped
from peftcli.report.formats import answers, over_tasks_table
from peftcli.report.statistics import describe
from peftcli.report.statistics.contrast import LEVEL
from peftcli.report.summary import Report
from peftcli.report.table import agreement, ties
from peftcli.report.table.differences import from_reference
from peftcli.report.table.table import Cell, Row, RowAverage, Table, Tie

CSV_KEYS = (
    *("row", "strategy", "options", "setting", "task", "column", "split", "metric", "state", "learning_rate"),
    *("mean", "std", "ddof", "low", "high", "maximum", "n", "planned", "runs", "runs_planned"),
    *("missing", "failed", "damaged", "diverged", "collapsed", "mean_without_collapsed", "std_without_collapsed"),
    *("rank", "std_rank", "tied", "tied_p", "flattery", "trainable", "trainable_percent", "head", "baseline", "unit"),
    *("published_mean", "published_std", "published_maximum", "published_n", "published_ddof", "copied_from"),
    *("published_tied", "published_tied_p"),
    *("difference", "published_p", "differs_from_published", "sources", "mixed"),
)
LISTS = ("missing", "failed", "damaged", "diverged", "collapsed")


def to_csv(report: Report) -> str:
    """Write a line a cell, averages included; runs without a value are counted, and named in the JSON."""
    stream = io.StringIO()
    # The same line ends on every machine.
    writer = csv.DictWriter(stream, CSV_KEYS, lineterminator="\n")
    writer.writeheader()
    for row in cells(report.table):
        writer.writerow({key: _plain(key, row.get(key)) for key in CSV_KEYS})
    return stream.getvalue()


def to_json(report: Report) -> str:
    """Write the whole report as one JSON object."""
    document = {
        "imported": dict(report.imported),
        "title": report.table.title,
        "recipe": shipped.name(report.recipe.path),
        # What is otherwise than in the recipe as shipped.
        "departures": [asdict(each) for each in (*report.otherwise.changes, *report.otherwise.seeds)],
        "model": report.recipe.model,
        "view": report.table.view.model_dump(),
        "headers": report.table.headers,
        "columns": [asdict(column) for column in report.table.columns],
        "rows": [
            {"path": row.path, "parameters": row.parameters and asdict(row.parameters)} for row in report.table.rows
        ],
        "cells": list(cells(report.table)),
        "differences": list(differences(report)),
        "over_tasks": over_tasks_table.to_json(report.table),
        "notes": report.table.notes,
        "about_claims": answers.about(report.claims),
        "claims": [asdict(judged, dict_factory=_flat) for judged in report.claims],
        "runs": report.counts,
        "troubles": report.troubles,
        "cost": asdict(report.cost),
        "costs": [asdict(row) for row in report.costs_by_task],
        "environments": report.environments,
    }
    # NaN is no JSON: a missing number is null, and any other would be a mistake of ours.
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def cells(table: Table) -> Iterator[dict[str, Any]]:
    """Yield every cell of a table, then its row's average, as a flat dictionary in the table's unit."""
    printed = ties.printed(table)
    for r, row in enumerate(table.rows):
        for c, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True)):
            if cell is not None:
                where = {"column_path": column.path, "baseline": column.baseline}
                yield _common(table, row) | where | _cell(cell, printed.get((r, c)))
        if row.average is not None:
            yield _common(table, row) | _average(row, row.average)


def differences(report: Report) -> Iterator[dict[str, Any]]:
    """Yield every cell's difference from the reference strategy with its test, and McNemar's by seed on the examples."""
    grid = from_reference(report.table) or ()
    together = report.over_examples or [[None] * len(report.table.columns)] * len(grid)
    for row, differences_of_row, with_examples in zip(report.table.rows, grid, together, strict=False):
        for cell, difference, over in zip(row.cells, differences_of_row, with_examples, strict=True):
            if cell is not None and difference is not None:
                tested, low_high = difference.contrast, difference.contrast.interval()
                by_seed = agreement.compare(cell, difference.reference, report.output)
                yield {
                    "row": " / ".join(row.path),
                    "strategy": cell.strategy,
                    "column": cell.column,
                    "metric": cell.metric,
                    "reference": difference.reference.strategy,
                    "difference": tested.estimate,
                    "low": low_high and low_high[0],
                    "high": low_high and low_high[1],
                    "level": LEVEL,
                    "p_value": tested.p_value(),
                    "test": tested.test,
                    "n": tested.n,
                    "why_not": tested.why_not,
                    "flattered": difference.flattered,
                    "over_examples": over and asdict(over, dict_factory=_flat),
                    "mcnemar": {str(seed): asdict(test) for seed, test in by_seed.items()},
                }


def _flat(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dataclass as JSON holds it: an interval over seeds and examples beside its reason, and not where its runs lie."""
    named = {name: value for name, value in fields if name != "leading"}
    return (named.pop("joint") or {}) | named if "joint" in named else named


def _common(table: Table, row: Row) -> dict[str, Any]:
    return {"row": " / ".join(row.path), "unit": table.view.scale, "ddof": table.view.ddof}


def _cell(cell: Cell, theirs_tied: Tie | None) -> dict[str, Any]:
    fields = {key: value for key, value in asdict(cell).items() if key not in ("published", "tie")}
    theirs = cell.published
    interval = describe.bootstrap_interval(list(cell.values.values()) if cell.mean is not None else [])
    return fields | {
        "low": interval.low,
        "high": interval.high,
        "interval": f"95 % of the mean, bootstrap{f'; {interval.note}' if interval.note else ''}",
        "state": cell.state,
        # JSON's keys are text.
        "files": {str(seed): file for seed, file in cell.files.items()},
        "values": {str(seed): value for seed, value in cell.values.items()},
        "by_rate": {str(rate): value for rate, value in cell.by_rate.items()},
        "at_rates": {
            str(rate): asdict(at)
            | {
                "values": {str(seed): value for seed, value in at.values.items()},
                "files": {str(seed): file for seed, file in at.files.items()},
            }
            for rate, at in cell.at_rates.items()
        },
        "published_mean": theirs.mean if theirs else None,
        "published_std": theirs.std if theirs else None,
        "published_maximum": theirs.maximum if theirs else None,
        "published_n": theirs.n if theirs else None,
        "published_ddof": theirs.ddof if theirs else None,
        "copied_from": theirs.copied_from if theirs else None,
        "tied": cell.tie and cell.tie.tied,
        "tied_p": cell.tie and cell.tie.p_value,
        "published_tied": theirs_tied and theirs_tied.tied,
        "published_tied_p": theirs_tied and theirs_tied.p_value,
        "differs_from_published": cell.differs,
    }


def _average(row: Row, average: RowAverage) -> dict[str, Any]:
    cell = next(cell for cell in row.cells if cell is not None)
    theirs = average.published
    whole = "incomplete" if average.incomplete else "complete"
    return {
        "strategy": cell.strategy,
        "options": cell.options,
        "setting": {},
        "column": "average",
        "metric": "mean",
        "state": "missing" if average.mean is None else whole,
        "mean": average.mean,
        "std": average.std,
        "n": average.columns,
        "planned": average.planned,
        "rank": average.rank,
        "std_rank": average.std_rank,
        "published_mean": theirs.mean if theirs else None,
        "published_std": theirs.std if theirs else None,
        "difference": average.difference,
    }


def _plain(key: str, value: Any) -> Any:
    """A value as a CSV holds it: lists counted, mappings in a line, every digit of a number, nothing for None."""
    if key in LISTS:
        return len(value or ())
    if key in ("mixed", "sources"):
        return ";".join(value or ())
    if isinstance(value, dict):
        return ";".join(f"{name}={'all' if each is None else each}" for name, each in value.items())
    return "" if value is None else repr(value) if isinstance(value, float) else value
