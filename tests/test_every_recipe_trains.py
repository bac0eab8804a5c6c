"""The first run of every recipe trains, on a model of its depth."""

from dataclasses import replace

import pytest
import torch

from peftcli.experiment import plan, recipe
from peftcli.tasks import registry as tasks
from tests import tiny

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
    model_type = "roberta" if run.model == "roberta-base" else "bert"
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
