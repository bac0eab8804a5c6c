"""Small recipes in the place of those that come with the program, and records of some of their runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from tests import written_records

WHOLE: dict[str, Any] = {
    "model": "minilm",
    "tasks": ["rte"],
    "strategies": ["full", "layernorm", "bitfit"],
    "learning_rates": [1e-3],
    "seeds": 2,
}
SHIPPED: dict[str, dict[str, Any]] = {
    "demo": {"tasks": ["demo"]},
    "paper/table1": {},
    "paper/table2": {"strategies": ["full", "adapter"]},  # shares the runs of full with the other
}


def recipe(file: Path, **changes: Any) -> Recipe:
    """Write and load a recipe: three strategies on rte with two seeds, but for the changes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"title": f"About {file.stem}", **WHOLE, **changes}))
    return recipes.load(file)


def ship(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """Put small recipes in the place of those that come with the program."""
    monkeypatch.setattr(recipes, "REPOSITORY", folder)
    return {name: recipe(folder / f"{name}.yaml", **changes) for name, changes in SHIPPED.items()}


def record(source: Recipe, output: Path, chosen: Callable[[Run], bool] = lambda run: True, **cost: Any) -> None:
    """Write records of a recipe's runs; `cost` is added to what they took."""
    with written_records.unsynced():
        for run in (planned.run for planned in plan.expand(source)):
            if chosen(run):
                whole = {"seconds": 1800.0, "steps": 10, "tokens": 1000, "peak_memory_bytes": None, "cohort": 1, **cost}
                score = 0.5 + len(run.strategy) / 100 + run.seed / 1000
                written_records.write(output, run, {"validation": {"accuracy": score}}, cost=whole)
