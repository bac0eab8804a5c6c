"""`peftcli doctor`: what it prints of the machine, of a recipe's needs, and its exit code."""

import json
from pathlib import Path

import pytest

from peftcli.experiment import recipe
from peftcli.preflight import doctor
from tests import folders
from tests.commandline import Command


def test_what_is_printed(tiny_folder: Path, peftcli: Command, tmp_path: Path) -> None:
    file = folders.recipe(tmp_path / "small.yaml", tiny_folder)
    output = ("--output", tmp_path / "out")
    ended = peftcli("doctor", file, *output)
    assert ended.code == 0, ended.out
    for part in (
        "device ",
        "precision ",
        "free",
        "ok         data demo",
        "12 of 12 runs are left",
        "for trained values",
    ):
        assert part in ended.out
    as_json = peftcli("doctor", file, *output, "--json").out
    assert set(json.loads(as_json)) == {"machine", "ready", "refused", "needs", "notes", "problems"}
    alone = peftcli("doctor", *output, "--json")
    assert set(json.loads(alone.out)) == {"machine", "problems"}
    assert alone.code == 0


def test_a_task_of_one_s_own_is_looked_at_too(tiny_folder: Path, peftcli: Command, tmp_path: Path) -> None:
    task = {"name": "mine", "data": "mine", "text": "text"}
    file = folders.recipe(tmp_path / "own.yaml", tiny_folder, tasks=[task])
    folder, output = tmp_path / "mine", tmp_path / "out"
    ended = peftcli("doctor", file, "--output", output)
    assert ended.code == 1
    assert f"MISSING    data mine: recipe own.yaml: task mine: data '{folder}' does not exist" in ended.out
    assert "runs are left" not in ended.out
    folder.mkdir()
    for split, count in (("train", 30), ("validation", 20)):
        lines = [f"some words,{'ab'[at % 2]}" for at in range(count)]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    ended = peftcli("doctor", file, "--output", output)
    assert ended.code == 0
    assert f"ok         data mine: 30 train, 20 validation ({folder})" in ended.out
    assert "12 of 12 runs are left" in ended.out
    needs = doctor.needs(recipe.load(file), output)
    assert needs["record_bytes"] == 12 * (doctor.RECORD_BYTES + 20 * (4 * 2 + 16))
    (folder / "train.csv").write_text("words,label\na,b\n")
    ended = peftcli("doctor", file, "--output", output)
    assert ended.code == 1
    assert f"MISSING    data mine: recipe own.yaml: task mine: {folder}/train.csv: unknown column 'text'" in ended.out


def test_what_a_network_will_bring_is_no_problem(
    peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folders.recipe(tmp_path / "small.yaml", Path("someone/else"))
    here = doctor.machine(tmp_path / "out")
    for answers, code, word in ((True, 0, "to fetch"), (False, 1, "MISSING ")):
        machine = {**here, "hub_reachable": answers}
        monkeypatch.setattr(doctor, "machine", lambda output, asked, machine=machine: machine)
        ended = peftcli("doctor", file, "--output", tmp_path / "out")
        assert ended.code == code
        assert f"{word}   model someone/else: not in the local hub cache" in ended.out
