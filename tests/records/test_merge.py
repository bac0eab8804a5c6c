"""Merging results of several machines: everything arrives; what disagrees is refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.records import beside
from peftcli.records.merge import merge
from tests import written_records
from tests.material import run

SCORES = {"validation": {"accuracy": 0.5}}


def record(folder: Path, seed: int, scores: Any = SCORES, **changes: Any) -> Path:
    return written_records.write(folder, run("rte", seed), scores, **changes)


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Path, Path]:
    for name in "ab":
        (tmp_path / name).mkdir()
    return tmp_path / "a", tmp_path / "b"


def test_records_and_the_files_beside_them_arrive_as_they_are(machines, tmp_path):
    first, second = machines
    files = [record(first, 0), record(first, 1), record(second, 2)]
    kept = [beside.predictions(file) for file in files]
    for file in kept:
        file.write_bytes(file.name.encode())
    found = merge(machines, tmp_path / "c")
    assert (found.written, found.present, found.damaged) == (3, 0, ())
    for file in [*files, *kept]:
        assert (tmp_path / "c" / "rte" / file.name).read_bytes() == file.read_bytes()
    assert merge(machines, tmp_path / "c").written == 0
    assert merge(machines, tmp_path / "c").present == 3


def test_the_same_run_with_the_same_content_is_one_run_whatever_it_cost(machines, tmp_path):
    cost = {"seconds": 36.0, "steps": 10, "tokens": 1000, "peak_memory_bytes": None, "cohort": 1}
    record(machines[0], 0, cost=cost)
    # Of a version that measures more, on a busier machine.
    record(machines[1], 0, cost={**cost, "seconds": 99.0, "peak_memory_bytes": 2**30, "delta_bytes": 400, "ended": 7})
    assert merge(machines, tmp_path / "c").written == 1


def test_what_is_computed_again_makes_no_other_content(machines, tmp_path):
    record(machines[0], 0)
    plain = run("rte", 0)
    again = plain.model_copy(update={"protocol": plain.protocol.model_copy(update={"checkpoint_activations": True})})
    written_records.write(machines[1], again, SCORES)
    assert merge(machines, tmp_path / "c").written == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": {"validation": {"accuracy": 0.5 + 1e-12}}},
        {"status": "failed"},
        {"cost": {"seconds": 36.0, "steps": 11, "tokens": 1000, "peak_memory_bytes": None, "cohort": 1}},
        {"cost": None},
        {"data": {"fingerprint": "1", "sizes": {"train": 10}}},
    ],
)
def test_the_same_run_with_other_content_is_named_and_nothing_is_written(machines, tmp_path, changes):
    record(machines[0], 0)
    record(machines[0], 1)
    record(machines[1], 0, **changes)
    with pytest.raises(UserError, match=f"{run('rte', 0).id}.*a/rte/.*b/rte/"):
        merge(machines, tmp_path / "c")
    assert not (tmp_path / "c").exists()


READ = {"fingerprint": "d1", "sizes": {"train": 10}, "model_fingerprint": "m1", "tokenizer_fingerprint": "t1"}
KEYS = {"model": "model_fingerprint", "tokenizer": "tokenizer_fingerprint", "data": "fingerprint"}


@pytest.mark.parametrize("kind", KEYS)
def test_runs_of_another_origin_do_not_fill_one_table(kind, machines, tmp_path):
    record(machines[0], 0, data=READ)
    record(machines[1], 1, data={**READ, KEYS[kind]: "x9"})
    with pytest.raises(UserError, match=rf"a/rte/.* and .*b/rte/.* another {kind} of .*{kind[0]}1 and x9.*apart"):
        merge(machines, tmp_path / "c")
    assert not (tmp_path / "c").exists()
    record(machines[0], 1, data={**READ, KEYS[kind]: "x8"})
    with pytest.raises(UserError, match=f"different content for the same run: .*made with another {kind}"):
        merge(machines, tmp_path / "c")


def test_what_records_do_not_say_and_what_a_folder_mixed_itself_is_joined(machines, tmp_path):
    record(machines[0], 0, data=READ)
    record(machines[0], 1, data={**READ, "model_fingerprint": "m2"})
    record(machines[1], 2, data={"fingerprint": "d1"})  # of an earlier version
    record(machines[1], 3, status="failed", data=None)
    assert merge(machines, tmp_path / "c").written == 4
    assert merge([machines[0]], tmp_path / "c").present == 4


def test_what_lies_in_the_output_counts_too(machines, tmp_path):
    record(machines[0], 0)
    record(tmp_path / "c", 0, scores={"validation": {"accuracy": 0.6}})
    with pytest.raises(UserError, match="different content"):
        merge(machines, tmp_path / "c")


def test_a_source_has_to_be_there(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder of results"):
        merge([tmp_path / "nowhere"], tmp_path / "c")
