"""The schema of recipes takes what the program takes and refuses what it refuses, key by key."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from peftcli import documents
from peftcli.experiment import recipe
from peftcli.experiment.settings import NAMES
from peftcli.report.schema import recipe_schema
from peftcli.report.table.spec import View
from peftcli.strategies import registry
from tests.json_schema import problems

SCHEMA = recipe_schema()
SMALL: dict[str, Any] = {
    "title": "Small",
    "tasks": ["rte", {"cola": {"label": "CoLA"}}, {"name": "mine", "data": "folder", "text": ["a", "b"], "label": "y"}],
    "strategies": ["full", "layernorm:layers=5-8", {"lora": {"rank": 4, "training": {"epochs": 5}, "tasks": ["rte"]}}],
    "learning_rates": [1e-4],
    "seeds": 3,
    "training": {"batch_size": 8, "max_grad_norm": None},
    "table": {"rows": "strategy", "average": True, "metrics": {"rte": "accuracy"}},
    "figures": [{"kind": "bars", "name": "all"}],
    "claims": [
        {"claim": "c", "where": "w", "checks": [{"kind": "order", "strategies": ["full", "lora"], "on": "rte"}]}
    ],
}


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_fits(name: str) -> None:
    assert list(problems(documents.load(recipe.find(name), "recipe"), SCHEMA, SCHEMA)) == []


def test_it_knows_every_key() -> None:
    """No key that the program reads is missing, wherever it stands."""
    definitions = SCHEMA["$defs"]
    assert list(problems(SMALL, SCHEMA, SCHEMA)) == []
    assert set(SCHEMA["properties"]) == {*recipe.KEYS, "extends"}
    assert set(definitions["training"]["properties"]) == set(NAMES)
    assert set(definitions["table"]["properties"]) == set(View.model_fields)
    assert set(definitions["strategy"]["anyOf"][2]["properties"]) == set(registry.STRATEGIES)
    for name, strategy in registry.STRATEGIES.items():
        options = set(definitions[f"strategy_{name}"]["properties"]) - set(definitions["overrides"]["properties"])
        assert options == set(strategy.option_names)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(titel="x"),
        lambda d: d.pop("strategies"),
        lambda d: d.update(seeds=0),
        lambda d: d.update(learning_rates=[-1e-4]),
        lambda d: d["training"].update(batch_sise=8),
        lambda d: d["training"].update(batch_size=0),
        lambda d: d["training"].update(optimizer="sgd"),
        lambda d: d["training"].update(evaluate_every="often"),
        lambda d: d["tasks"].append("nonesuch"),
        lambda d: d["tasks"][1]["cola"].update(tasks=["rte"]),
        lambda d: d["tasks"][2].update(date="folder"),
        lambda d: d["strategies"].append("layrnorm"),
        lambda d: d["strategies"][2]["lora"].update(rang=4),
        lambda d: d["strategies"][2]["lora"].update(rank=0),
        lambda d: d["table"].update(cells="maximum"),
        lambda d: d["table"].update(ddof=2),
        lambda d: d["figures"].append({"kind": "pie", "name": "x"}),
        lambda d: d["figures"][0].update(colour="red"),
        lambda d: d["claims"][0]["checks"][0].update(kind="ordered"),
        lambda d: d["claims"][0]["checks"][0].update(then="full"),
    ],
)
def test_a_misspelt_key_or_an_illegal_value_is_refused(spoil: Callable[[dict[str, Any]], Any]) -> None:
    document = copy.deepcopy(SMALL)
    spoil(document)
    assert list(problems(document, SCHEMA, SCHEMA))


def test_a_recipe_that_extends_another_may_leave_out_what_that_one_says() -> None:
    assert list(problems({"extends": "table1.yaml", "seeds": [0]}, SCHEMA, SCHEMA)) == []
    assert list(problems({"seeds": [0]}, SCHEMA, SCHEMA))


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA
