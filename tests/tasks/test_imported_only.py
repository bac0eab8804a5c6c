"""A task whose runs are only imported has metrics and a table, and every command that would train on it refuses it."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment.run import task_of
from peftcli.importing.importing import import_runs
from peftcli.preflight import refusals
from peftcli.tasks import imported_only
from tests import tables_of_runs
from tests.written_records import runs, small, tabulate, unsynced

ENTRY = {"name": "elsewhere", "imported": ["f1", "accuracy"], "label": "Elsewhere"}


def test_its_runs_fill_a_table_by_the_metrics_that_the_recipe_names(tmp_path: Path) -> None:
    recipe = small(tasks=[ENTRY], strategies=["full"], learning_rates=[1e-4])
    rows = [{"seed": seed, "test_f1": score, "test_accuracy": 0.9} for seed, score in ((1, 0.25), (2, 0.5))]
    file = tables_of_runs.write(tmp_path / "runs.csv", rows)
    with unsynced():
        done = import_runs(file, recipe, tmp_path / "out", None, None, {})
    assert (done.written, dict(done.unfit)) == (2, {})
    table = tabulate(recipe, tmp_path / "out")
    (cell,) = table.cells()
    assert (cell.mean, cell.metric, cell.split, cell.values) == (37.5, "f1", "test", {1: 25.0, 2: 50.0})
    assert [column.path for column in table.columns] == [("Elsewhere",)]


def test_its_runs_hold_its_metrics_alone() -> None:
    run = runs(small(tasks=[{**ENTRY, "imported": "accuracy"}]))[0]
    assert run.data == {"kind": "imported", "metrics": ["accuracy"]}
    assert (task_of(run).metrics, task_of(run).sizes, task_of(run).columns) == (
        ("accuracy",),
        {},
        {"elsewhere": "test"},
    )


def test_how_many_examples_there_are_is_no_part_of_a_run() -> None:
    silent, said = small(tasks=[ENTRY]), small(tasks=[{**ENTRY, "examples": 1319}])
    assert [run.id for run in runs(silent)] == [run.id for run in runs(said)]
    assert [imported_only.examples(recipe.tasks[0][1].options) for recipe in (silent, said)] == [None, 1319]
    assert imported_only.examples({"data": "folder"}) is None


def test_it_is_refused_before_anything_is_fetched() -> None:
    recipe = small(tasks=[ENTRY])
    (refused,) = refusals.check("no/model", runs(recipe), lambda run: None, allow_other_data=False)
    assert (refused.subject, refused.task) == ("task elsewhere", "elsewhere")
    assert "its runs are imported" in refused.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imported": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"imported": []}, "imported"),
        ({"imported": 3}, "imported"),
        ({"examples": 2}, "examples"),
        ({"examples": 13.5}, "examples"),
        ({"data": "folder"}, "unknown key 'label_column': known: imported"),  # what `label` is beside data
        ({"text": "a"}, "unknown key 'text'"),
        ({"name": "rte"}, "unknown key 'imported'"),
    ],
)
def test_what_is_said_wrongly_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plan.expand(small(tasks=[{**ENTRY, **changes}]))
