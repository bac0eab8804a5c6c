"""A recipe's name and origin: shipped, extending a shipped one, copied, or the user's own."""

from pathlib import Path

from peftcli.experiment import recipe, shipped


def test_names_hold_no_machine_s_path(tmp_path: Path) -> None:
    assert shipped.name(recipe.find("freezing/table1")) == "freezing/table1"
    assert shipped.name(recipe.find("demo")) == "demo"
    assert shipped.name(tmp_path / "mine.yaml") == "mine.yaml"


def test_a_shipped_recipe_is_its_own_base_even_where_it_extends_another() -> None:
    changed = recipe.load(recipe.find("effectiveness/table2"), {"seeds": 2})
    base = shipped.base(changed)
    assert base is not None
    assert (base.path, len(base.seeds)) == (changed.path, 10)


def test_a_recipe_of_no_paper_is_compared_with_its_own_file(tmp_path: Path) -> None:
    copy = tmp_path / "demo.yaml"
    copy.write_text(recipe.find("demo").read_text())
    base = shipped.base(recipe.load(copy))
    assert base is not None
    assert base.path == copy
    assert shipped.base(recipe.load(copy).model_copy(update={"path": tmp_path / "gone.yaml"})) is None
