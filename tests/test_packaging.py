"""A built wheel holds the recipes and the published tables, and works from another folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from peftcli.experiment import recipe

ROOT = Path(__file__).parent.parent


def test_a_wheel_has_recipes_and_published_tables(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site/peftcli/recipes/recipe.schema.json").is_file()  # what their first lines name
    page = tmp_path / "site/peftcli/report/formats/html"
    assert all((page / name).is_file() for name in ("page.html", "report.css"))
    published = sorted(file.relative_to(ROOT / "recipes") for file in (ROOT / "recipes").rglob("*.csv"))
    assert len(published) >= 10
    assert all((tmp_path / "site" / "peftcli" / "recipes" / file).is_file() for file in published)
    listing = [sys.executable, "-m", "peftcli", "list", "recipes"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    listed = subprocess.run(listing, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == recipe.shipped()
