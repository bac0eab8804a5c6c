"""`peftcli site` as typed: pages over recorded runs, what is left out told, other files in the folder left alone."""

from pathlib import Path

import pytest

from tests import commandline
from tests.commandline import Command
from tests.outline import Outline
from tests.report.site import shipping


def test_pages_are_written_over_those_of_before_and_beside_others(
    peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shipping.ship(tmp_path / "recipes", monkeypatch)
    own = shipping.recipe(tmp_path / "mine.yaml", strategies=["lora"])
    shipping.record(there["demo"], tmp_path / "a")
    shipping.record(own, tmp_path / "b")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("of before")
    (site / "CNAME").write_text("example.org")
    ended = peftcli("site", tmp_path / "a", tmp_path / "b", "--to", site, "--recipe", own.path)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"wrote {site / 'index.html'} over 2 reports\n"
    assert sorted(file.name for file in site.iterdir()) == [
        ".nojekyll", "CNAME", "demo.html", "index.html", "mine.html"
    ]  # fmt: skip
    assert (site / "CNAME").read_text() == "example.org"
    assert "About demo" in Outline((site / "index.html").read_text()).words
    before = {file: file.read_bytes() for file in site.iterdir()}
    assert peftcli("site", tmp_path / "a", tmp_path / "b", "--to", site, "--recipe", own.path).code == 0
    assert {file: file.read_bytes() for file in site.iterdir()} == before


def test_a_damaged_record_is_named_and_the_pages_are_made(
    peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shipping.ship(tmp_path / "recipes", monkeypatch)
    shipping.record(there["demo"], tmp_path / "a")
    file = sorted((tmp_path / "a/demo").glob("*.json"))[0]
    file.write_bytes(file.read_bytes()[:-9])
    ended = peftcli("site", tmp_path / "a", "--to", tmp_path / "site")
    assert ended.code == 1
    assert ended.err.startswith(f"skipped {file}: not readable as JSON")
    assert "5 completed, 1 damaged" in Outline((tmp_path / "site/index.html").read_text()).words


def test_a_mistake_is_one_line_and_nothing_is_written(
    peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shipping.ship(tmp_path / "recipes", monkeypatch)
    shipping.record(there["demo"], tmp_path / "a")
    (tmp_path / "file").write_text("")
    for arguments, words in (
        (("nowhere", "--to", tmp_path / "site"), "nowhere is not a folder of results"),
        ((tmp_path / "a", "--to", tmp_path / "site", "--recipe", "dmo"), "did you mean 'demo'"),
        ((tmp_path / "a", "--to", tmp_path / "site", "--recipe", "paper/table1"), "no run of it is recorded in"),
        ((tmp_path / "a", "--to", tmp_path / "file"), "file"),
        ((tmp_path / "a",), "--to"),
        (("--to", tmp_path / "site"), "RESULTS"),
    ):
        ended = peftcli("site", *arguments)
        assert ended.is_one_line, ended.err
        assert words in ended.err
    assert not (tmp_path / "site").exists()


def test_torch_is_not_imported(tmp_path: Path) -> None:
    from peftcli.experiment import recipe as recipes

    shipping.record(recipes.load(recipes.find("demo")), tmp_path / "a")
    ended = commandline.fresh(["site", tmp_path / "a", "--to", tmp_path / "site"])
    assert (ended.code, set(ended.heavy) & {"torch", "transformers"}) == (0, set())
