"""The README names every module once, in its tree."""

from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_tree_names_every_module() -> None:
    tree = (ROOT / "README.md").read_text().partition("## Where things are")[2].partition("## How it computes")[0]
    named = [line.split()[0] for line in tree.splitlines() if line.startswith("peftcli/")]
    there = [str(file.relative_to(ROOT)) for file in (ROOT / "peftcli").rglob("*.py")]
    assert sorted(named) == sorted(name for name in there if name != "peftcli/__init__.py")
