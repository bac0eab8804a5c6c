"""The curves of runs, from a file beside their table: an evaluation a row, or arrays of one length in an .npz. No torch."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peftcli.errors import UserError, first_line
from peftcli.experiment.recipe import Recipe
from peftcli.importing import header as headers
from peftcli.importing import rows, values
from peftcli.importing.rows import Measured
from peftcli.tasks import tabular

LARGEST = 1_000_000_000  # bytes of an archive's arrays, unpacked


def read(file: Path, recipe: Recipe, runs: Sequence[str]) -> dict[str, list[Measured]]:
    """Read the curves of runs by their name in the column `run`: every evaluation with its step, in the file's order.

    `runs` are the names that the table has. Raises UserError for a file that cannot be read, for curves of a run that
    the table lacks, and without a step. Nothing in the file is unpickled.
    """
    columns: Mapping[str, Sequence[Any]] = (
        _arrays(file) if file.suffix.lower() == ".npz" else tabular.every_column(file).values
    )
    header = headers.read(columns, recipe, {})
    for needed in ("run", "step"):
        if needed not in header.words:
            raise UserError(f"curves {file} have no column {needed}: they have {', '.join(columns)}")
    if not header.scores and headers.TRAINING_LOSS not in header.words:
        raise UserError(f"curves {file} have neither a {headers.TRAINING_LOSS} nor a score such as validation_loss")
    curves: dict[str, list[Measured]] = {name: [] for name in runs}
    of_rows = values.words(columns[header.words["run"]])
    for number, (name, measured) in enumerate(zip(of_rows, rows.measurements(file, columns, header), strict=True)):
        if name not in curves:
            raise UserError(f"{file}, row {number} (from 0): a curve of run {name}, which the table does not have")
        if measured.step is None:
            raise UserError(f"{file}, row {number} (from 0): no step")
        curves[name].append(measured)
    return {name: curve for name, curve in curves.items() if curve}


def _arrays(file: Path) -> dict[str, list[Any]]:
    """Read an archive of arrays, each [evaluations] of numbers or text. Raises UserError."""
    import numpy as np

    try:
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise UserError(f"curves {file} are larger than {LARGEST // 10**9} GB")
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read curves {file}: {first_line(error)}") from None
    lengths = {name: array.shape for name, array in arrays.items()}
    if not arrays or len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        shapes = ", ".join(f"{name} {list(shape)}" for name, shape in lengths.items())
        raise UserError(f"curves {file}: not arrays of one length and one dimension: {shapes or 'none'}")
    # A 32-bit number is read as it is written in a CSV: 0.6, not the 0.6000000238418579 that its bits come to.
    return {
        name: [float(str(value)) for value in array] if array.dtype == np.float32 else array.tolist()
        for name, array in arrays.items()
    }
