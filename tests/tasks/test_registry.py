"""The registry of tasks: rows that agree with themselves, and a made-up row that needs no change anywhere else."""

import ast
from pathlib import Path

import pytest

import peftcli
from peftcli.cli import listing
from peftcli.data import corpora, loading
from peftcli.errors import UserError
from peftcli.experiment import plan, recipe
from peftcli.tasks import registry
from peftcli.tasks.registry import COLUMNS, TASKS, Task
from tests import folders, trained
from tests.material import write_split

TEXTS = ["Anna bought a red car.", "Boris left the hat.", "The car is red.", "Clara sold David a dog."] * 2
COLOURS = Task(
    "colours", "someone/colours", None, "sentence", ("text",), ("cold", "warm"), ("accuracy",),
    {"train": 8, "validation": 4}, {"train": (4, 4), "validation": (2, 2)}, note="made up",
)  # fmt: skip


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of a task whose row stands in the registry for the length of one test."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setitem(TASKS, COLOURS.name, COLOURS)
    monkeypatch.setitem(COLUMNS, COLOURS.name, (COLOURS, "validation"))
    for split, size in COLOURS.sizes.items():
        columns = {"text": TEXTS[:size], "label": [row % 2 for row in range(size)]}
        write_split(tmp_path / "data" / "colours", split, columns)
    return tmp_path / "data"


def test_a_new_row_is_listed_planned_loaded_and_trained(colours: Path, tmp_path: Path) -> None:
    assert listing.rows("tasks")[-1] == {
        "name": "colours",
        "summary": "sentence; accuracy; 8 train / 4 validation; made up",
    }
    base = folders.bert(tmp_path / "base")
    file = folders.recipe(tmp_path / "small.yaml", base, tasks=["colours"], strategies=["bitfit"])
    planned = [entry.run for entry in plan.expand(recipe.load(file))]
    assert [(run.task, run.strategy) for run in planned] == [("colours", "bitfit")] * 4  # two rates, two seeds
    corpus = loading.read(COLOURS, colours)
    assert corpus.differences == ()
    assert corpus.rows["train"].columns == {"text": TEXTS}
    # Eight rows in batches of eight: one step.
    (record,) = trained.train(tmp_path / "run", base, "bitfit", task="colours", data_dir=colours)
    assert record.status == "completed", record.body["error"]
    assert record.body["data"]["sizes"] == {"train": 8, "validation": 4}
    assert 4 * record.body["evaluations"][-1]["accuracy"] in range(5)


def test_tasks_are_named_in_the_registry_alone() -> None:
    package = Path(peftcli.__file__).parent
    named = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in {*TASKS, *COLUMNS}
    }
    assert named == {"tasks/registry.py"}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_row_agrees_with_itself(task: Task) -> None:
    assert {"train", *task.evaluation} <= set(task.sizes)
    assert len(set(task.labels)) == len(task.labels)
    assert bool(task.labels) == (task.kind != "regression")
    for split, counts in task.counts.items():
        assert len(counts) == len(task.labels)
        if task.kind != "token":  # whose counts are words
            assert sum(counts) == task.sizes[split]
    assert task.submitted_as == "name" or task.data == registry.GLUE
    assert corpora.on_hub(task) == (task.name not in ("ptb", "demo"))


def test_columns_read_one_split_each() -> None:
    assert registry.get("rte").columns == {"rte": "validation"}
    assert registry.get("mnli").columns == {
        "mnli_matched": "validation_matched",
        "mnli_mismatched": "validation_mismatched",
    }
    assert len(COLUMNS) == len(TASKS) + 1


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown task 'rtee': did you mean 'rte'.*data of your own"):
        registry.get("rtee")
