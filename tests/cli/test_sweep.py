"""`peftcli sweep` where nothing is left to train: it says so at once, without model, data or torch."""

from pathlib import Path

import pytest

from peftcli import records
from peftcli.experiment import plan, recipe
from tests import commandline, folders, written_records

NOT_COMPARED = "records not compared with what is here now: the data of task rte is not in the local hub cache"


def test_a_sweep_with_nothing_left_imports_nothing_heavy_and_reads_neither_model_nor_data(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the model the sizes alone are there, of the task's data nothing.
    model = tmp_path / "tiny-bert"
    model.mkdir()
    (model / "config.json").write_bytes((tiny_folder / "config.json").read_bytes())
    file = folders.recipe(tmp_path / "small.yaml", model, tasks=["rte"])
    runs = [planned.run for planned in plan.expand(recipe.load(file))]
    for run in runs[1:]:
        written_records.write(tmp_path / "out", run, {"validation": {"accuracy": 0.5}})
    written_records.write(tmp_path / "out", runs[0], {}, status="diverged")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    process = commandline.fresh(
        ["sweep", file, "--output", tmp_path / "out", "--only", "strategy=full"],
        ["sweep", file, "--output", tmp_path / "out", "--save-delta", "--launcher", "accelerate"],
    )
    assert process.heavy == ()
    assert process.code == 1  # of the second: a run that diverged is not missing, but it did not complete
    diverged = records.path(tmp_path / "out", runs[0])
    assert process.err.splitlines() == [
        NOT_COMPARED,
        "small: 4 runs, 4 recorded already",
        "4 of 4 runs completed",
        NOT_COMPARED,
        "small: 12 runs, 12 recorded already (no deltas are written of those)",
        f"diverged: {runs[0].describe()}: loss or weights not finite at step 3 ({diverged})",
        "11 of 12 runs completed",
    ]
    assert not (tmp_path / "out" / ".sweeps").exists()  # no cohort size is decided either
