"""A site's files: addresses of their own, links that lead somewhere, the same bytes each time."""

import posixpath
from collections.abc import Sequence
from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import figures
from peftcli.report.site import choosing, pages
from peftcli.report.site.choosing import Choice
from tests.outline import Outline
from tests.report.site import shipping

CLAIM = {"claim": "full is better", "checks": [{"kind": "better", "strategies": "full", "than": "bitfit"}]}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """The recipes that come with the program."""
    return shipping.ship(tmp_path / "recipes", monkeypatch)


def addresses(*chosen: tuple[Recipe, str]) -> Sequence[str]:
    return pages.addresses([Choice(recipe, Path(folder)) for recipe, folder in chosen])


def test_every_report_has_an_address_of_its_own(there: dict[str, Recipe], tmp_path: Path) -> None:
    table = there["paper/table1"]
    index = shipping.recipe(tmp_path / "mine/index.yaml")
    upper = shipping.recipe(tmp_path / "mine/Paper-Table1.yaml")
    odd = shipping.recipe(tmp_path / "mine/a b&ü.yaml")
    assert addresses((table, "a"), (there["demo"], "b")) == ["paper-table1.html", "demo.html"]
    assert addresses((table, "a"), (table, "x/b")) == ["paper-table1-a.html", "paper-table1-b.html"]
    assert addresses((table, "x/r"), (table, "y/r")) == ["paper-table1-x_r.html", "paper-table1-y_r.html"]
    assert addresses((table, "a"), (upper, "a")) == ["paper-table1.html", "Paper-Table1-2.html"]
    assert addresses((index, "a"), (odd, "a")) == ["index-2.html", "a_b__.html"]


def test_every_link_is_relative_and_leads_to_a_page(
    there: dict[str, Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What figures look like is tested elsewhere.
    monkeypatch.setattr(figures, "draw_all", lambda study: [])
    with_claim = shipping.recipe(there["demo"].path, tasks=["demo"], claims=[CLAIM])
    shipping.record(with_claim, tmp_path / "a")
    shipping.record(there["paper/table1"], tmp_path / "a")
    shipping.record(there["paper/table1"], tmp_path / "b", lambda run: run.seed == 0, ended=1_700_000_000)
    chosen = choosing.choose([tmp_path / "a", tmp_path / "b"], [])
    made = list(pages.make(chosen))
    assert [name for name, _ in made] == [
        ".nojekyll", "demo.html", "paper-table1-a.html", "paper-table1-b.html", "index.html"
    ]  # fmt: skip
    site = dict(made)
    links = {}
    for name, text in made[1:]:
        outline = Outline(text)
        assert not outline.all("script")
        assert str(tmp_path) not in text
        links[name] = [str(attributes["href"]) for attributes in outline.all("a")]
        for link in links[name]:
            page, _, part = link.partition("#")
            target = site[posixpath.normpath(page or name)]
            assert not part or f'id="{part}"' in target, link
    assert {"demo.html", "demo.html#claims", "paper-table1-a.html"} <= set(links["index.html"])
    assert all(links[name][0] == "index.html" for name in site if name.endswith(".html") and name != "index.html")
    assert list(pages.make(chosen)) == made
    words = Outline(site["index.html"]).words
    assert "About table1 paper/table1 a minilm 3 of 3 runs: 6 completed none - 3.0 hours" in words
    assert "About table1 paper/table1 b minilm 0 of 3 runs: 3 completed, 3 missing none 2023-11-14 1.5 hours" in words
    assert "A dash: no record says it." in words
