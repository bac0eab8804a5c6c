"""`peftcli import` makes records that reports name as imported, says what it left out, and refuses what it cannot read."""

import json
from pathlib import Path

import pytest

from tests import folders, tables_of_runs
from tests.commandline import Command
from tests.tables_of_runs import row
from tests.written_records import unsynced


def recipe(folder: Path) -> Path:
    model = folder / "model"
    model.mkdir()
    return folders.recipe(folder / "small.yaml", model, tasks=["rte", "cola"], learning_rates=[1e-4, 1e-3])


def test_what_was_imported_is_said_and_the_report_names_its_source_first(peftcli: Command, tmp_path: Path) -> None:
    rows = [row(seed, colour="red") for seed in (5, 6)] + [row(5, task="mnli")]
    file = tables_of_runs.write(tmp_path / "theirs.tsv", rows)
    into = ("--recipe", recipe(tmp_path), "--output", tmp_path / "out")
    ended = peftcli("import", file, *into, "--source", "Their repository")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        f"2 imported records added to {tmp_path / 'out'}, 0 were there",
        f"1 of 12 cells of {tmp_path / 'small.yaml'} have runs, learning rates counted apart",
        "columns left out: 'colour'",
        f"1 rows fit no cell of {tmp_path / 'small.yaml'}: task=mnli (1)",
    ]
    first = "Imported, not trained here: 2 runs from Their repository (theirs.tsv, SHA-256 "
    for form in ("terminal", "markdown", "latex", "html"):
        shown = peftcli("report", tmp_path / "small.yaml", "--output", tmp_path / "out", "--format", form)
        assert shown.code == 0, shown.err
        # A page's first line is the one below its title; a terminal's may go on in the next.
        head = shown.out.partition("</h1>")[2] if form == "html" else shown.out
        assert " ".join(head[:200].removeprefix('<p class="lead">').split()).strip("*% ").startswith(first), (
            form,
            head[:200],
        )
    document = json.loads(
        peftcli("report", tmp_path / "small.yaml", "--output", tmp_path / "out", "--format", "json").out
    )
    assert list(document["imported"].values()) == [2]
    assert document["runs"] == {"completed": 2, "diverged": 0, "failed": 0, "damaged": 0, "missing": 22}


def test_a_sweep_has_imported_runs_still_to_train(peftcli: Command, tmp_path: Path) -> None:
    rows = [row(seed, strategy="bitfit", validation_accuracy=None, test_accuracy=0.5) for seed in (0, 1)]
    file = tables_of_runs.write(tmp_path / "theirs.csv", rows)
    assert peftcli("import", file, "--recipe", "freezing/table1", "--output", tmp_path / "out").code == 0
    plan = json.loads(peftcli("plan", "freezing/table1", "--output", tmp_path / "out", "--json").out)
    assert plan["states"]["missing"] == plan["runs"] == 385


def test_runs_that_an_author_published_are_named_like_recipes(
    peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with unsynced():
        ended = peftcli("import", "freezing/authors_runs.csv", "--recipe", "freezing/figure6", "--output", "out")
    assert ended.code == 0
    assert ended.err.splitlines()[0] == "39 imported records added to out, 0 were there"


def test_bad_input_is_one_line(peftcli: Command, tmp_path: Path) -> None:
    file = tables_of_runs.write(tmp_path / "theirs.csv", [row(0)])
    made, out = recipe(tmp_path), tmp_path / "out"
    for arguments, said in (
        ((tmp_path / "none.csv", "--recipe", made), "cannot read data file"),
        ((tmp_path, "--recipe", made), "its suffix"),
        ((file, "--recipe", "freezing/tabel1"), "did you mean 'freezing/table1'"),
        ((file, "--recipe", made, "--column", "seed"), "--column 'seed' is not word=column"),
        ((file, "--recipe", made, "--column", "sead=seed"), "did you mean 'seed'"),
        ((file, "--recipe", made, "--column", "seed=sed"), "did you mean 'seed'"),
        ((file, "--recipe", made, "--column", "seed=task"), "a column 'seed' already"),
        ((file, "--recipe", made, "--curves", file), "have no column run"),
        ((file, "--recipe", made, "--curves", tmp_path / "none.npz"), "cannot read curves"),
        ((file, "--recipe", made, "--source", ""), "--source"),
        ((file, "--recipe", made, "--set", "sead=3"), "unknown key 'sead'"),
    ):
        ended = peftcli("import", *arguments, "--output", out)
        assert ended.is_one_line, (arguments, ended)
        assert said in ended.err
    assert not out.exists()
