"""The differences of a table over seeds and examples together, from the predictions kept beside records. No torch.

Each run's predictions are read and resampled once, however many differences it is in. Every cell of a column has the same
resamples: a difference is of two strategies on the same examples.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli import records
from peftcli.records import predictions
from peftcli.records.predictions import Predictions
from peftcli.report.statistics import describe
from peftcli.report.table import naming
from peftcli.report.table.cells import SCALES
from peftcli.report.table.differences import Difference, Differences
from peftcli.report.table.table import Cell, Table
from peftcli.tasks import metrics, own_data

if TYPE_CHECKING:
    from numpy import float32, ndarray
    from numpy.typing import NDArray

    from peftcli.report.statistics.examples import Joint, Resampled

NOT_KEPT = "no predictions were kept"
PATIENCE = 2.0  # seconds without a word
# How far a score of kept predictions may be from the recorded one, as fractions: numbers are kept with 24 bits.
CLOSE = {"classes": 1e-9, "entities": 1e-9, "numbers": 1e-4}


@dataclass(frozen=True)
class OverExamples:
    """A difference over seeds and examples together, in the table's unit; None and a reason where it cannot be told."""

    joint: "Joint | None"
    why_not: str = ""


Grid = tuple[tuple[OverExamples | None, ...], ...]  # [rows, columns] of the table, None where there is no difference


@dataclass(frozen=True)
class _Scored:
    """A cell's runs on the same examples, and a digest of which examples these are."""

    resampled: "Resampled"
    examples: str


def of(table: Table, differences: Differences, output: Path) -> Grid:
    """Return every difference over seeds and examples together; `output` is the results folder.

    That it takes longer than two seconds is said on stderr. Raises UserError for predictions that do not read back.
    """
    compared = [
        (column, row, difference)
        for row, of_row in enumerate(differences)
        for column, difference in enumerate(of_row)
        if difference is not None
    ]
    grid: list[list[OverExamples | None]] = [[None] * len(of_row) for of_row in differences]
    scored: dict[str, _Scored | str] = {}
    started, told = time.monotonic(), False
    # Column by column: the cells of a column have the same resamples.
    for number, (column, row, difference) in enumerate(sorted(compared, key=lambda each: each[:2])):
        grid[row][column] = _compare(difference, output, SCALES[table.view.scale], scored)
        if not told and time.monotonic() - started > PATIENCE:
            told = True
            rest = (time.monotonic() - started) / (number + 1) * (len(compared) - number - 1)
            print(
                f"resampling the examples of {len(compared)} differences: {number + 1} done, about {rest:.0f} s to go",
                file=sys.stderr,
                flush=True,
            )
    return tuple(map(tuple, grid))


def notes(grid: Grid, differences: Differences) -> Iterator[str]:
    """Say what the intervals over seeds and examples hold, and where there is none; nothing where no predictions were kept."""
    told = [
        (each, difference)
        for row, of_row in zip(grid, differences, strict=True)
        for each, difference in zip(row, of_row, strict=True)
        if each is not None and difference is not None
    ]
    if not any(each.joint for each, _ in told):
        # Of a difference without a test nothing more is said than that it has none.
        told = [
            (each, difference)
            for each, difference in told
            if each.why_not != NOT_KEPT and not difference.contrast.why_not
        ]
    else:
        yield (
            "The p and its interval are about other seeds on these examples. The interval over seeds and examples is about "
            "other seeds on as many other examples (Multi-Bootstrap with Student's t; a token task's sentences are drawn whole)."
        )
    reasons: dict[str, list[Cell]] = {}
    for each, difference in told:
        if each.why_not and not difference.contrast.why_not:
            reasons.setdefault(each.why_not, []).append(difference.cell)
    for why_not, cells in reasons.items():
        yield f"No interval over seeds and examples: {why_not} ({naming.cells(cells)})."


def _compare(difference: Difference, output: Path, scale: float, scored: dict[str, _Scored | str]) -> OverExamples:
    """Compare a cell with its reference over seeds and examples; `scored` holds what was resampled already."""
    if difference.contrast.why_not:
        return OverExamples(None, difference.contrast.why_not)
    sides = []
    for cell in (difference.cell, difference.reference):
        key = repr((sorted(cell.files.items()), cell.split, cell.metric))
        if key not in scored:
            scored[key] = _score(cell, output, scale)
        side = scored[key]
        if isinstance(side, str):
            return OverExamples(None, side)
        sides.append(side)
    one, other = sides
    if one.examples != other.examples:
        return OverExamples(None, "the two were evaluated on different examples")
    from peftcli.report.statistics import examples

    # As the difference is tested over seeds: the recipe fixes whether runs pair.
    joint = examples.joint(one.resampled, other.resampled, difference.contrast.test == "paired t")
    return OverExamples(joint, "" if joint else "no variance over seeds")


def _score(cell: Cell, output: Path, scale: float) -> _Scored | str:
    """Resample the examples of a cell's runs, in the table's unit; a string says why that cannot be done."""
    seeds = [seed for seed, value in cell.values.items() if describe.finite([value])]
    files = [output / cell.files[seed] for seed in seeds if seed in cell.files]
    read = [kept for file in files if (kept := predictions.read(file, cell.split)) is not None]
    if not read:
        return NOT_KEPT
    if len(read) < len(seeds):
        return f"predictions were kept of {len(read)} of {len(seeds)} runs"
    digests = {_digest(kept) for kept in read}
    if len(digests) > 1:
        return "its runs were evaluated on different examples"
    kind, kept = metrics.takes(cell.metric), read[0]
    if len(kept.labels) != len(kept.numbers) and kept.lengths is None:
        return "predictions of an earlier version do not tell a sentence's words"
    if len(kept.numbers) < 2:
        return "there is one example"
    from peftcli.report.statistics import examples, weighted

    names = _label_names(cell, files[0]) if kind == "entities" else ()
    answers = [each.logits if kind == "numbers" else each.logits.argmax(-1) for each in read]
    weights = _weights(len(kept.numbers), examples.RESAMPLES)
    whole, resampled = (
        scale * weighted.scores(cell.metric, answers, kept.labels, of, kept.lengths, names)
        for of in (weights[:, :1], weights[:, 1:])
    )
    values = {seed: value for seed in seeds if (value := cell.values[seed]) is not None}
    # A seed's value may be the mean of several runs, and old files may hold another evaluation than the one that counts.
    if any(abs(score - value) > scale * CLOSE[kind] for score, value in zip(whole[:, 0], values.values(), strict=True)):
        return "predictions do not come to the recorded score"
    return _Scored(examples.Resampled(values, resampled, len(kept.numbers)), digests.pop())


@lru_cache(maxsize=1)
def _weights(count: int, resamples: int) -> "NDArray[float32]":
    """Draw the resamples of as many examples, [examples, 1 + resamples]: the first are the examples themselves."""
    import numpy as np

    from peftcli.report.statistics import weighted

    drawn = weighted.draw(count, resamples, describe.generator(0, "examples"))
    return np.column_stack([np.ones(count, dtype=np.float32), drawn])


def _digest(kept: Predictions) -> str:
    """Tell examples apart: their numbers, their labels, and the words of each."""
    parts: list[ndarray] = [kept.numbers, kept.labels, *([] if kept.lengths is None else [kept.lengths])]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def _label_names(cell: Cell, record: Path) -> tuple[str, ...]:
    """Return the names of a task's labels by index, those of a user's own from its run."""
    return own_data.task(cell.task, records.read(record).run.data).labels
