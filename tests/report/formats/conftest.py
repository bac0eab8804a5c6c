"""Records that several tests of formats read: those of printed tables, and of a recipe with hostile words."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from tests.written_records import fill, from_published, load, score_of, small

HOSTILE = "a|b_c*<script>$x^2$ \x1b[31m\n% \\end{table} & #1"


@pytest.fixture(scope="session")
def printed_records(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with the records of a shipped recipe by its name, made from the paper's printed cells when first asked."""

    @cache
    def folder(name: str) -> Path:
        records = tmp_path_factory.mktemp("records")
        from_published(load(name), records)
        return records

    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> Recipe:
    """A recipe whose title, label and note are signs of every language, with all its records in `tmp_path`."""
    recipe = small(title=HOSTILE, strategies=[{"full": {"label": HOSTILE}}, "layernorm"], notes=[HOSTILE])
    fill(recipe, tmp_path, score_of)
    return recipe
