"""Which recipes a site reports: found by the runs that are recorded, or named; what fits none is told."""

from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.experiment import shipped
from peftcli.experiment.recipe import Recipe
from peftcli.importing.importing import import_runs
from peftcli.report.site import choosing
from peftcli.report.site.choosing import Chosen
from tests import tables_of_runs
from tests.report.site import shipping


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """The recipes that come with the program."""
    return shipping.ship(tmp_path / "recipes", monkeypatch)


def names(chosen: Chosen) -> list[tuple[str, str]]:
    return [(shipped.name(choice.recipe.path), choice.folder.name) for choice in chosen.choices]


def test_recipes_are_found_by_their_runs_in_every_folder(there: dict[str, Recipe], tmp_path: Path) -> None:
    shipping.record(there["demo"], tmp_path / "b")
    shipping.record(there["paper/table1"], tmp_path / "b", lambda run: run.strategy != "full")
    shipping.record(there["demo"], tmp_path / "a", lambda run: run.seed == 1)
    chosen = choosing.choose([tmp_path / "b", tmp_path / "a", tmp_path / "recipes" / ".." / "a"], [])
    assert names(chosen) == [("demo", "b"), ("demo", "a"), ("paper/table1", "b")]
    assert (chosen.records, chosen.remarks, chosen.damaged) == (6 + 4 + 3, (), ())


def test_runs_shared_with_a_recipe_of_more_are_no_report_of_their_own(there: dict[str, Recipe], tmp_path: Path) -> None:
    first, second = there["paper/table1"], there["paper/table2"]
    shipping.record(first, tmp_path / "a", lambda run: run.strategy == "full")
    # Neither has more than the other.
    assert names(choosing.choose([tmp_path / "a"], [])) == [("paper/table1", "a"), ("paper/table2", "a")]
    shipping.record(first, tmp_path / "a", lambda run: run.strategy == "bitfit" and run.seed == 0)
    chosen = choosing.choose([tmp_path / "a"], [])
    assert names(chosen) == [("paper/table1", "a")]
    assert chosen.remarks == (
        f"{tmp_path / 'a'}: left out paper/table2: its 2 recorded runs are all in paper/table1; --recipe shows it too",
    )
    assert names(choosing.choose([tmp_path / "a"], [second])) == [("paper/table1", "a"), ("paper/table2", "a")]
    shipping.record(second, tmp_path / "a", lambda run: run.strategy == "adapter" and run.seed == 0)
    assert names(choosing.choose([tmp_path / "a"], [])) == [("paper/table1", "a"), ("paper/table2", "a")]


def test_a_recipe_that_is_complete_is_reported_beside_a_larger_one(there: dict[str, Recipe], tmp_path: Path) -> None:
    smaller = shipping.recipe(tmp_path / "recipes/paper/part.yaml", strategies=["full"])
    shipping.record(there["paper/table1"], tmp_path / "a")
    chosen = choosing.choose([tmp_path / "a"], [])
    assert names(chosen) == [("paper/part", "a"), ("paper/table1", "a")]
    assert len(chosen.remarks) == 1
    shipping.recipe(smaller.path, strategies=["full"], seeds=3)  # of which one is not there
    assert names(choosing.choose([tmp_path / "a"], [])) == [("paper/table1", "a")]


def test_a_recipe_of_one_s_own_is_named(there: dict[str, Recipe], tmp_path: Path) -> None:
    own = shipping.recipe(tmp_path / "mine.yaml", strategies=["lora"])
    shipping.record(own, tmp_path / "a")
    complaint = "its 2 records fit none of the recipes that come with peftcli: name theirs with --recipe FILE"
    with pytest.raises(UserError, match=complaint):
        choosing.choose([tmp_path / "a"], [])
    assert names(choosing.choose([tmp_path / "a"], [own, own])) == [("mine.yaml", "a")]
    shipping.record(there["demo"], tmp_path / "a")
    remark = f"{tmp_path / 'a'}: 2 records fit none of the recipes: name theirs with --recipe FILE"
    assert choosing.choose([tmp_path / "a"], []).remarks == (remark,)
    shipping.record(there["demo"], tmp_path / "b")
    with pytest.raises(UserError, match=r"recipe mine.yaml: no run of it is recorded in .*b$"):
        choosing.choose([tmp_path / "b"], [own])


def test_imported_runs_stand_in_a_recipe_s_cells(there: dict[str, Recipe], tmp_path: Path) -> None:
    rows = [tables_of_runs.row(seed, learning_rate=1e-3) for seed in (7, 8, 9)]
    file = tables_of_runs.write(tmp_path / "theirs.csv", rows)
    import_runs(file, there["paper/table1"], tmp_path / "a", None, None, {})
    # Of two recipes with such a cell neither has more.
    assert names(choosing.choose([tmp_path / "a"], [])) == [("paper/table1", "a"), ("paper/table2", "a")]
    shipping.record(there["paper/table1"], tmp_path / "a", lambda run: run.strategy == "bitfit")
    chosen = choosing.choose([tmp_path / "a"], [])
    assert (names(chosen), chosen.records) == ([("paper/table1", "a")], 3 + 2)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", r"nowhere is not a folder of results$"),
        ("empty", r"empty holds no record: give the folders that sweeps wrote to$"),
        ("above", r"above holds no record: did you mean .*above/one?"),
        ("torn", r"torn holds no sound record: .*x.json: not readable as JSON"),
    ],
)
def test_a_folder_without_records_is_refused(
    folder: str, message: str, there: dict[str, Recipe], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    shipping.record(there["demo"], tmp_path / "above/one")
    (tmp_path / "torn/rte").mkdir(parents=True)
    (tmp_path / "torn/rte/x.json").write_text("{")
    shipping.record(there["demo"], tmp_path / "sound")
    with pytest.raises(UserError, match=message):
        choosing.choose([tmp_path / "sound", tmp_path / folder], [])


def test_a_damaged_record_is_listed_beside_the_sound_ones(there: dict[str, Recipe], tmp_path: Path) -> None:
    shipping.record(there["demo"], tmp_path / "a")
    file = sorted((tmp_path / "a/demo").glob("*.json"))[0]
    file.write_bytes(file.read_bytes().replace(b"0.5", b"0.6"))
    chosen = choosing.choose([tmp_path / "a"], [])
    assert chosen.damaged == ((file, "its checksum does not match: the file was damaged or edited"),)
    assert names(chosen) == [("demo", "a")]
