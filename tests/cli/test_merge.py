"""`peftcli merge` says how many records came, and names what it could not take."""

from pathlib import Path

from peftcli import records
from tests import written_records
from tests.commandline import Command
from tests.material import run

SCORES = {"validation": {"accuracy": 0.5}}


def test_damaged_files_are_named_and_left_where_they_are(peftcli: Command, tmp_path: Path):
    machines = [tmp_path / "a", tmp_path / "b"]
    written_records.write(machines[0], run("rte", 0), SCORES)
    broken = written_records.write(machines[1], run("rte", 1), SCORES)
    broken.write_bytes(broken.read_bytes()[:-20])
    (machines[1] / "rte" / "foreign.json").write_text("{}")
    ended = peftcli("merge", *machines, "--output", tmp_path / "c")
    assert ended.code == 1
    said = ended.err
    assert str(broken) in said
    assert "foreign.json" in said
    assert broken.exists()
    assert {record.id for record in records.read_all(tmp_path / "c")[0]} == {run("rte", 0).id}


def test_what_was_there_is_not_counted_as_added(peftcli: Command, tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("a", 1), ("b", 1), ("b", 2)):
        written_records.write(tmp_path / folder, run("rte", seed), SCORES)
    into = ("--output", tmp_path / "c")
    first = peftcli("merge", tmp_path / "a", *into)
    assert (first.code, first.out, first.err) == (0, "", f"2 records added to {tmp_path / 'c'}, 0 were there\n")
    second = peftcli("merge", tmp_path / "a", tmp_path / "b", *into)
    assert second.code == 0
    assert second.err.startswith(f"1 records added to {tmp_path / 'c'}, ")
