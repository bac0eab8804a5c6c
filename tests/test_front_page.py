"""README, ARCHITECTURE and docs name what is there: every path exists, every room and every long module is named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/recipes.md", "docs/records.md", "results/README.md")
LONG = 150  # lines: what a module as long as this does is worth a line on the map
PATH = re.compile(r"`((?:peftcli|tests|recipes|docs|results|\.ci)/[\w./*-]*)`")
LINK = re.compile(r"\]\(((?!https?:)[^)#]+)\)")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_link_exists(page: str) -> None:
    paths = [ROOT / path for path in PATH.findall(text(page))]
    links = [(ROOT / page).parent / link for link in LINK.findall(text(page))]
    missing = [
        str(path) for path in paths + links if not path.exists() and not list(ROOT.glob(str(path.relative_to(ROOT))))
    ]
    assert missing == []


def test_the_map_names_every_room_and_every_long_module() -> None:
    there = text("ARCHITECTURE.md")
    rooms = [
        f"`peftcli/{folder.name}/`" for folder in (ROOT / "peftcli").iterdir() if (folder / "__init__.py").exists()
    ]
    modules = [file for file in (ROOT / "peftcli").rglob("*.py") if len(file.read_text().splitlines()) >= LONG]
    assert [room for room in rooms if room not in there] == []
    assert [str(m.relative_to(ROOT)) for m in modules if f"`{m.relative_to(ROOT)}`" not in there] == []


def test_the_invariants_are_in_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text("ARCHITECTURE.md"))
    assert len(named) >= 5
    for file, test in named:
        assert f"def {test}(" in text(file), f"{file} has no {test}"


def test_the_front_page_is_short() -> None:
    assert len(text("README.md").splitlines()) <= 220
