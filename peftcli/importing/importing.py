"""`peftcli import`: anybody's runs, from a table to records in the cells of a recipe. No torch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from peftcli import files, records
from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run, task_of
from peftcli.importing import curves, endings, matching, rows
from peftcli.importing import header as headers
from peftcli.importing.rows import Row
from peftcli.records import imported
from peftcli.records.body import Source
from peftcli.report.table import selection

UNSCORED = ("loss", headers.COLLAPSED)
SHOWN = 12  # kinds of rows that fit no cell; more are counted


@dataclass(frozen=True)
class Imported:
    """What an import did: records written and those that were there already, cells of the recipe and how many have runs.

    `unknown`: columns that mean nothing here and were left out. `unfit`: in words what no run of the recipe has -> the
    number of rows that were left out for it.
    """

    written: int
    present: int
    cells: int
    filled: int
    unknown: tuple[str, ...]
    unfit: Mapping[str, int]


@dataclass(frozen=True)
class Fitting:
    """The runs of a table that fit a recipe, each with its rows; `unfit` as in `Imported`."""

    runs: Mapping[tuple[str, int], Run]  # id, repeat
    rows: Mapping[tuple[str, int], Sequence[Row]]
    unfit: Mapping[str, int]


def import_runs(
    file: Path, recipe: Recipe, output: Path, source: str | None, curves_file: Path | None, renamed: Mapping[str, str]
) -> Imported:
    """Write a record of every run of a table that fits a cell of a recipe, and return what came of it.

    `source` says in words whose runs they are (default: the file's name). `renamed`: word -> the column that is meant.
    Raises UserError for a file that cannot be read, where no row fits, and where `output` has runs that were trained in
    the same cells, or the same imported runs with other numbers. Then nothing is written.
    """
    table = rows.read(file, recipe, renamed)
    cells = matching.one_a_cell(plan.expand(recipe))
    fitting = lay_over(file, table.rows, cells, recipe)
    by_name = curves.read(curves_file, recipe, [_name(row) for row in table.rows]) if curves_file else {}
    stated = {
        "file": file.name,
        "fingerprint": files.sha256(file),
        "source": " ".join((source or file.name).split()),
        "curves": files.sha256(curves_file) if curves_file else None,
    }
    contents: dict[Path, bytes] = {}
    # All of them are made before the first is written: a mistake in the last row leaves nothing behind.
    for key, run in fitting.runs.items():
        of_run = fitting.rows[key]
        curve = [measured for name in dict.fromkeys(map(_name, of_run)) for measured in by_name.get(name, ())]
        try:
            ending = endings.ending(run, of_run, curve)
        except UserError as error:
            raise UserError(f"{file}: {error}") from None
        origin = cast(Source, {**stated, "repeat": key[1]})
        contents[imported.path(output, run, key[1])] = imported.encoded(run, ending, origin)
    written = _write(contents, output, fitting.runs.values())
    filled = {imported.cell(run) for run in fitting.runs.values()}
    return Imported(written, len(contents) - written, len(cells), len(filled), table.unknown, fitting.unfit)


def lay_over(file: Path, table: Sequence[Row], cells: Sequence[Planned], recipe: Recipe) -> Fitting:
    """Lay a table's rows over a recipe's cells. Raises UserError where none fits."""
    like: dict[Any, Planned | str] = {}  # rows that say the same but for their seed fit the same cell
    runs: dict[tuple[str, int], Run] = {}
    of_run: dict[tuple[str, int], list[Row]] = {}
    unfit: Counter[str] = Counter()
    for row in table:
        said = {name: word for name, word in row.words.items() if name in ("task", "strategy", "model")}
        alike = repr((said, row.learning_rate, row.settings))
        if alike not in like:
            try:
                like[alike] = matching.find(row, cells, recipe)
            except UserError as error:
                raise UserError(f"{file}: {error}") from None
        planned = like[alike]
        if isinstance(planned, str):
            unfit[planned] += 1
            continue
        run = planned.run.model_copy(update={"seed": row.seed})
        runs.setdefault((run.id, row.repeat), run)
        of_run.setdefault((run.id, row.repeat), []).append(row)
    # Asked of whole runs: one of several rows may be of the held-out part alone.
    for key, run in list(runs.items()):
        splits = [selection.reported_split(split, run.protocol) for split in task_of(run).evaluation]
        scored = {split for row in of_run[key] for split, metric in row.measured.scores if metric not in UNSCORED}
        # A run that did not complete may have left none, and is one of its cell all the same.
        ended = {row.words.get("status", "completed") for row in of_run[key]}
        if ended == {"completed"} and not scored & set(splits):
            unfit[f"no score on {' or '.join(splits)}"] += len(of_run.pop(key))
            del runs[key]
    if not runs:
        raise UserError(f"{file}: no row fits a cell of recipe {recipe.path.name}: {kinds(unfit)}")
    return Fitting(runs, of_run, unfit)


def kinds(unfit: Mapping[str, int]) -> str:
    """Name the kinds of rows that fit no cell, with their numbers, the largest first."""
    ordered = sorted(unfit.items(), key=lambda kind: -kind[1])
    more = len(ordered) - SHOWN
    shown = ", ".join(f"{what} ({count})" for what, count in ordered[:SHOWN])
    return shown if more <= 0 else f"{shown} and {more} more kinds"


def _name(row: Row) -> str:
    """The name that curves have for a row's run: what the file calls it, else the row's number."""
    return row.words.get("run", str(row.number))


def _write(contents: Mapping[Path, bytes], output: Path, runs: Iterable[Run]) -> int:
    """Write the records that are not there yet, and return how many. Raises UserError before anything is written."""
    cells = {imported.cell(run) for run in runs}
    # Neither silently merged: a mean over both would be of no study.
    trained = [
        record
        for record in records.read_all(output)[0]
        if "origin" not in record.body and imported.cell_of(record) in cells
    ]
    if trained:
        raise UserError(
            f"{output} holds {len(trained)} runs that were trained in the same cells, such as {trained[0].path}: "
            "use another --output"
        )
    new = {path: content for path, content in contents.items() if not path.exists()}
    for path in contents.keys() - new.keys():
        if path.read_bytes() != contents[path]:
            raise UserError(f"{path} is the same run from another file, or with other numbers: use another --output")
    for path, content in new.items():
        files.write(path, content)
    return len(new)
