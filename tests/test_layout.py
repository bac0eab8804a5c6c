"""Where tests lie: `tests/<room>/test_<module>.py` tests `peftcli/<room>/<module>.py`; what spans rooms lies at the top."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE, TESTS = ROOT / "peftcli", ROOT / "tests"
ROOMS = sorted(folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists())
SHORT = 45  # lines; a module no longer than this may be tested with its neighbours


def test_every_module_has_its_test_file() -> None:
    without = [
        str(module.relative_to(ROOT))
        for module in sorted(PACKAGE.rglob("*.py"))
        if not module.name.startswith("__")
        and len(module.read_text(encoding="utf-8").splitlines()) > SHORT
        and not (TESTS / module.relative_to(PACKAGE).parent / f"test_{module.name}").exists()
    ]
    assert without == []


def test_a_test_file_in_a_room_is_named_after_a_module_of_it_or_after_what_it_shows() -> None:
    for room in ROOMS:
        for file in (TESTS / room).rglob("test_*.py"):
            assert (file.parent / "__init__.py").exists(), file
            assert file.read_text(encoding="utf-8").startswith('"""'), f"{file} does not say what it shows"


def test_the_top_of_the_package_is_small() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8
