"""The first run of every recipe trains, on a model of its depth."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from peftcli.experiment import plan, recipe
from peftcli.models import catalogue
from peftcli.tasks import demo
from peftcli.tasks import registry as tasks
from tests import commandline, tiny, trained
from tests.material import write_split

# Runs of other programs are imported, never trained.
RECIPES = sorted(file for file in recipe.root().rglob("*.yaml") if file.parent.name != "others")


def test_there_are_recipes():
    assert len([file for file in RECIPES if file.name != "protocol.yaml"]) >= 15


# A table of each paper in make test, the other recipes in make test-all.
COVERING = ("table1", "table2")


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(f, id=f"{f.parent.name}-{f.stem}", marks=[] if f.stem in COVERING else [pytest.mark.whole])
        for f in RECIPES
        if f.name != "protocol.yaml"
    ],
)
def test_every_recipe_trains(file):
    planned = plan.expand(recipe.load(file, {}))
    run = planned[0].run
    deep = run.model in ("bert-large-cased",)
    model_type = catalogue.config(run.model)["model_type"]
    changes = {"steps": 4, "minimum_steps": None, "evaluate_every": "2 steps"}
    if tasks.get(run.task).kind == "token":
        changes["metric"] = "accuracy"
    settings = run.protocol.model_copy(update=changes)
    task = tasks.get(run.task)
    kind = task.kind
    pooler = kind != "token" and (model_type == "bert" or settings.head == "pooled_dense")
    sizes = {"hidden_size": 128, "num_hidden_layers": 24 if deep else 12}
    model = tiny.backbone(model_type, pooler=pooler, dtype=torch.float32, **sizes)
    data = replace(tiny.data(kind), metrics=("accuracy",) if kind == "token" else task.metrics)
    state = tiny.trained(tiny.cohort(model, [run.model_copy(update={"protocol": settings})], own=data))
    assert state.histories[0].evaluations


def rte(folder: Path) -> Path:
    """RTE's files with a few pairs of the demo task's sentences."""
    for split, count in {"train": 48, "validation": 24, "test": 8}.items():
        rows = demo.rows("train")[:count]
        columns = {name: [row[name] for row in rows] for name in ("sentence1", "sentence2")}
        labels = [at % 2 if split != "test" else -1 for at in range(count)]
        write_split(folder / "glue" / "rte", split, {**columns, "label": labels, "idx": list(range(count))})
    return folder


# A recipe of today's models, and the family that its model is of.
NEWER = {"decoders/norms": "llama", "encoders/modernbert": "modernbert"}


@pytest.mark.parametrize("name", NEWER)
def test_a_recipe_of_a_newer_model_trains_and_reports_when_cut_small(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every strategy of it by the command line, on a random model of the family in a folder, on one task at one rate."""
    run = commandline.runner(monkeypatch, capsys)
    small = {"model": trained.model(tmp_path / "tiny", NEWER[name]), "seeds": 1, "learning_rates": "[1e-3]"}
    small |= {"epochs": 1, "batch_size": 8, "max_train_samples": 32, "max_length": 32}
    cut = [part for key, value in small.items() for part in ("--set", f"{key}={value}")]
    cut += ["--output", tmp_path / "results"]
    runs = ["--only", "task=rte", "--data-dir", rte(tmp_path / "data"), "--allow-other-data"]
    strategies = [entry.label for _, entry in recipe.load(recipe.find(name)).strategies]
    swept = run("sweep", name, *cut, *runs)
    assert swept.code == 0, swept
    told = json.loads(run("report", name, *cut, "--format", "json").out)
    assert [row["path"] for row in told["rows"]] == [[label] for label in strategies]
    values = [cell["mean"] for cell in told["cells"] if cell["column"] == "rte"]
    assert len(values) == len(strategies)
    assert all(0 <= value <= 100 for value in values)
