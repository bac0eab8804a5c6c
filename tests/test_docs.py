"""What is made from the models is as it was committed; who changes a key, a range or a sentence runs `make docs`."""

import runpy
from pathlib import Path

import pytest

from peftcli.experiment import recipe

ROOT = Path(__file__).parents[1]
MADE: dict[Path, str] = runpy.run_path(str(ROOT / "docs/make.py"))["made"]()


@pytest.mark.parametrize("file", MADE, ids=lambda file: file.name)
def test_what_is_committed_is_what_the_models_say(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == MADE[file], "run `make docs`"


def test_every_shipped_recipe_names_the_schema() -> None:
    for name in recipe.shipped():
        file = recipe.find(name)
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        schema = first.removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / schema).resolve() == ROOT / "recipes/recipe.schema.json", name


def test_every_row_of_the_reference_has_a_meaning() -> None:
    rows = [line for line in MADE[ROOT / "docs/recipes.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.split("|")[-2].strip() in ("", "meaning")] == []
