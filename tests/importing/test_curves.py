"""Curves from an archive of arrays or from a table, by the name of their run; nothing is unpickled."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.importing import curves
from peftcli.importing.rows import Measured
from tests import tables_of_runs
from tests.written_records import small

ROWS = [
    {"run": run, "step": step, "validation_metric": 0.6, "training_loss": loss}
    for run, step, loss in ((4, 1, 0.5), (4, 2, 0.25), (7, 1, 2.0))
]


@pytest.mark.parametrize("form", ["npz", *tables_of_runs.FORMATS])
def test_a_curve_is_its_run_s_rows(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"curves.{form}"
    if form == "npz":
        kinds = {"run": np.int16, "step": np.int32, "validation_metric": np.float32, "training_loss": np.float32}
        np.savez_compressed(file, **{key: np.array([row[key] for row in ROWS], kind) for key, kind in kinds.items()})
    else:
        tables_of_runs.write(file, ROWS)
    read = curves.read(file, small(), ["4", "7", "9"])
    assert read == {
        "4": [
            Measured(1, None, {("validation", None): 0.6}, 0.5),
            Measured(2, None, {("validation", None): 0.6}, 0.25),
        ],
        "7": [Measured(1, None, {("validation", None): 0.6}, 2.0)],
    }


class Trap:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trap = np.array([Trap()], dtype=object)
    np.savez("curves.npz", run=np.array([4]), step=np.array([1]), validation_metric=trap)
    with pytest.raises(UserError, match=r"cannot read curves curves\.npz: Object arrays"):
        curves.read(Path("curves.npz"), small(), ["4"])
    Path("plain.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match="cannot read curves"):
        curves.read(Path("plain.npz"), small(), ["4"])
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"step": [1], "training_loss": [1.0]}, "have no column run"),
        ({"run": [4], "training_loss": [1.0]}, "have no column step"),
        ({"run": [4], "step": [1]}, "neither a training_loss nor a score"),
        ({"run": [4, 4], "step": [1], "training_loss": [1.0]}, "not arrays of one length"),
        ({"run": [[4]], "step": [[1]], "training_loss": [[1.0]]}, "one dimension"),
        ({"run": [5], "step": [1], "training_loss": [1.0]}, "a curve of run 5, which the table does not have"),
        ({"run": [4], "step": [float("nan")], "training_loss": [1.0]}, "row 0 .* no step"),
        ({"run": [4], "step": [1], "training_loss": ["x"]}, "'x' is not a number"),
    ],
)
def test_curves_that_do_not_fit_are_refused(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "curves.npz", **{name: np.array(values) for name, values in arrays.items()})
    with pytest.raises(UserError, match=said):
        curves.read(tmp_path / "curves.npz", small(), ["4"])
