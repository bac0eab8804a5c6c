"""The page that several tests of the HTML report read, made once."""

import pytest

from tests import synthetic
from tests.report.formats.html import pages


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a recipe in which some runs are missing, failed, diverged or collapsed."""
    folder = tmp_path_factory.mktemp("page")
    recipe = pages.printed_recipe()
    synthetic.write_all(recipe, folder, pages.odd, points=20)
    return pages.page_of(recipe, folder)
