"""Imported records: an id of their own, beside trained ones, found by their cell, and refused where they are not sound."""

from pathlib import Path
from typing import Any

import pytest

from peftcli import files, records
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.records import imported
from peftcli.records.body import Source
from peftcli.records.merge import merge
from tests import tiny, written_records

RUN = tiny.run("layernorm", seed=3)
SCORES = {"validation": {"accuracy": 0.5}}


def source(repeat: int = 0) -> Source:
    return {"file": "runs.csv", "fingerprint": "ab" * 32, "source": "them", "repeat": repeat, "curves": None}


def write(output: Path, run: Run = RUN, repeat: int = 0, **changes: Any) -> Path:
    ending: Any = written_records.body(SCORES, cost=None, environment=None, data=None, **changes)
    file = imported.path(output, run, repeat)
    files.write(file, imported.encoded(run, ending, source(repeat)))
    return file


def test_an_imported_run_is_never_the_trained_one(tmp_path: Path) -> None:
    ids = {RUN.id, imported.identity(RUN, 0), imported.identity(RUN, 1)}
    assert len(ids) == 3
    write(tmp_path)
    assert records.find(tmp_path, RUN) is None, "a sweep has it still to train"
    assert records.states([RUN], tmp_path) == {RUN.id: "missing"}
    (record,), damaged = records.read_all(tmp_path)
    assert (record.id, record.run, damaged) == (imported.identity(RUN, 0), RUN, [])
    assert record.body["origin"] == source()


def test_records_are_found_by_their_cell_whatever_the_seed(tmp_path: Path) -> None:
    seeds = [RUN.model_copy(update={"seed": seed}) for seed in (90, 4)]
    other = RUN.model_copy(update={"learning_rate": 0.25})
    for run in (*seeds, other):
        write(tmp_path, run)
    write(tmp_path, seeds[1], repeat=1)
    cells = imported.read_cells(tmp_path, [RUN])
    assert list(cells) == [imported.cell(RUN)]
    assert [(r.run.seed, r.body["origin"]["repeat"]) for r in cells[imported.cell(RUN)]] == [(4, 0), (4, 1), (90, 0)]
    assert imported.read_cells(tmp_path, []) == {}
    assert imported.read_cells(tmp_path / "nowhere", [RUN]) == {}


def test_one_that_is_not_sound_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    with pytest.raises(UserError, match="import its run again"):
        imported.read_cells(tmp_path, [RUN])
    file.unlink()
    copied = imported.path(tmp_path, RUN, 5)
    copied.write_bytes(content)
    with pytest.raises(UserError, match="not the imported record that its name says"):
        imported.read_cells(tmp_path, [RUN])
    copied.unlink()
    copied.write_bytes(
        records.encode({"schema": 1, "id": RUN.id, "run": RUN.model_dump(), **written_records.body(SCORES)})
    )
    with pytest.raises(UserError, match="not the imported record"):
        imported.read_cells(tmp_path, [RUN])


def test_a_record_in_a_trained_one_s_place_is_not_taken_for_it(tmp_path: Path) -> None:
    place = records.path(tmp_path, RUN)
    place.parent.mkdir(parents=True)
    place.write_bytes(write(tmp_path).read_bytes())
    with pytest.raises(UserError, match="holds another run under the same name"):
        records.find(tmp_path, RUN)


def test_folders_of_imported_and_trained_runs_of_one_cell_are_not_joined(tmp_path: Path) -> None:
    write(tmp_path / "imported")
    trained = RUN.model_copy(update={"seed": 17})
    written_records.write(tmp_path / "trained", trained, SCORES)
    for first, second in (("imported", "trained"), ("trained", "imported")):
        with pytest.raises(UserError, match="one of them was imported, the other trained"):
            merge([tmp_path / first, tmp_path / second], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
    elsewhere = RUN.model_copy(update={"learning_rate": 0.25})
    written_records.write(tmp_path / "other", elsewhere, SCORES)
    assert merge([tmp_path / "imported", tmp_path / "other"], tmp_path / "joined").written == 2
