"""What the records beside a delta say: of its own run, of other seeds, and never of another run."""

import shutil
from pathlib import Path

import pytest

from peftcli import records
from peftcli.deltas import file, recorded
from peftcli.records import Record, beside
from tests import trained


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and the records of two learning rates with three seeds each."""
    folder = tmp_path_factory.mktemp("work")
    trained.train(folder, trained.model(folder / "base"), "layernorm", seeds=[0, 1, 2], learning_rates=[5e-3, 1e-3])
    return folder


@pytest.fixture
def results(work: Path, tmp_path: Path) -> list[Record]:
    """A copy of the records, those of the larger rate first, by seed."""
    shutil.copytree(work / "results", tmp_path / "results")
    sound, damaged = records.read_all(tmp_path / "results")
    assert not damaged
    return sorted(sound, key=lambda record: (-record.run.learning_rate, record.run.seed))


def test_seeds_are_those_of_the_same_run(results: list[Record]) -> None:
    own = results[1]
    delta = file.read(beside.delta(own.path))
    known = recorded.beside(beside.delta(own.path), delta)
    assert known.record == own
    assert list(known.by_seed) == [0, 1, 2]
    for record in results[:3]:
        last = record.body["evaluations"][-1]
        assert known.by_seed[record.run.seed]["validation"] == last
    # A file that was given another name is still its run's.
    moved = beside.delta(own.path).rename(own.path.with_name("mine.safetensors"))
    assert recorded.beside(moved, delta) == known


def test_a_run_of_other_data_or_that_did_not_complete_is_none_of_them(results: list[Record]) -> None:
    first, second, third = results[:3]
    body = dict(second.body)
    second.path.write_bytes(records.encode({**body, "data": {**body["data"], "fingerprint": "another"}}))  # type: ignore[dict-item]
    third.path.write_bytes(records.encode({**third.body, "status": "diverged"}))
    file_ = beside.delta(first.path)
    assert list(recorded.beside(file_, file.read(file_)).by_seed) == [0]


def test_without_its_record_nothing_is_known_and_said_why(results: list[Record]) -> None:
    own, other = results[:2]
    path = beside.delta(own.path)
    delta = file.read(path)
    whole = own.path.read_bytes()
    own.path.write_bytes(whole.replace(b"completed", b"comqleted"))
    assert recorded.beside(path, delta).why_not == (
        "the record of the run could not be read: its checksum does not match: the file was damaged or edited"
    )
    own.path.write_bytes(other.path.read_bytes())
    assert recorded.beside(path, delta).why_not == "the file in the place of its record is of another run"
    own.path.unlink()
    assert recorded.beside(path, delta) == recorded.NOTHING
    assert recorded.NOTHING.record is None
