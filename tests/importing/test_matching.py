"""A row finds the one run that it is like, or the words for what of it no run has."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import plan
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.importing import matching, rows
from tests import tables_of_runs
from tests.written_records import small

SIZES = [{"rte": {}}, {"rte": {"training": {"train_size": 100}}}]


def find(said: dict[str, Any], recipe: Recipe, folder: Path) -> Planned | str:
    file = tables_of_runs.write(folder / "runs.csv", [{"seed": 1, "test_accuracy": 0.5, **said}])
    table = rows.read(file, recipe, {})
    return matching.find(table.rows[0], matching.one_a_cell(plan.expand(recipe)), recipe)


def test_one_run_stands_for_all_seeds() -> None:
    cells = matching.one_a_cell(plan.expand(small()))
    assert len(cells) == 8
    assert {each.run.seed for each in cells} == {0}


@pytest.mark.parametrize(
    ("said", "sizes"),
    [({"train_size": "all"}, None), ({"train_size": 100}, 100), ({"train_size": "100"}, 100)],
)
def test_settings_tell_cells_apart(said: dict[str, Any], sizes: int | None, tmp_path: Path) -> None:
    recipe = small(tasks=SIZES)
    like = find({"task": "rte", "strategy": "full", "learning_rate": 1e-3, **said}, recipe, tmp_path)
    assert isinstance(like, Planned)
    assert (like.run.protocol.train_size, like.run.learning_rate) == (sizes, 1e-3)


@pytest.mark.parametrize("column", ["checkpoint_activations", "protocol.checkpoint_activations"])
def test_a_setting_that_is_no_part_of_a_run_tells_none_apart(column: str, tmp_path: Path) -> None:
    like = find(
        {"task": "rte", "strategy": "full", "learning_rate": 1e-3, column: True}, small(tasks=["rte"]), tmp_path
    )
    assert isinstance(like, Planned)
    assert like.run.protocol.checkpoint_activations is False
    parts = find({"task": "rte", "strategy": "full", "accumulate": 4}, small(tasks=["rte"]), tmp_path)
    assert parts == "accumulate=4"


def test_a_setting_left_empty_is_not_set_where_that_alone_tells_runs_apart(tmp_path: Path) -> None:
    said = {"task": "rte", "strategy": "layernorm", "learning_rate": 1e-3, "layers": None, "protocol.train_size": None}
    strategies = ["layernorm", "layernorm:layers=2"]
    like = find(said, small(tasks=SIZES, strategies=strategies), tmp_path)
    assert isinstance(like, Planned)
    assert (like.run.options["layers"], like.run.protocol.train_size) == (None, None)
    # Without such a column nothing is said, and a lone run is the one that is meant whatever it sets.
    assert find({"task": "rte", "strategy": "layernorm", "learning_rate": 1e-3}, small(tasks=SIZES), tmp_path) == (
        "fits several cells, for it does not say its train_size"
    )
    like = find(said, small(tasks=[SIZES[1]], strategies=strategies[1:]), tmp_path)
    assert isinstance(like, Planned)
    assert (like.run.options["layers"], like.run.protocol.train_size) == ([2], 100)


def test_an_option_and_a_setting_of_one_name_are_told_apart_by_their_prefix(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], strategies=["lora:dropout=0.25", "lora:dropout=0.5"])
    like = find({"option.dropout": 0.5, "protocol.dropout_until": 1.0}, recipe, tmp_path)
    assert isinstance(like, Planned)
    assert like.run.options["dropout"] == 0.5
    assert find({"option.dropout": 0.5, "protocol.dropout": 0.5}, recipe, tmp_path) == "protocol.dropout=0.5"


@pytest.mark.parametrize("strategy", ["lora:rank=4", "lora:alpha=32,rank=4", "Small"])
def test_strategies_are_named_as_on_the_command_line_or_in_the_recipe(strategy: str, tmp_path: Path) -> None:
    entries = [
        {"lora": {"rank": 4, "alpha": 32.0, "label": "Small"}},
        {"lora": {"rank": 8, "alpha": 32.0, "label": "Large"}},
    ]
    recipe = small(tasks=["rte"], strategies=entries, learning_rates=[1e-3])
    like = find({"strategy": strategy}, recipe, tmp_path)
    assert isinstance(like, Planned)
    assert like.run.options["rank"] == 4
    assert isinstance(find({"strategy": "lora", "rank": 4}, recipe, tmp_path), Planned), "an option may be a column"
    assert find({"strategy": "lora"}, recipe, tmp_path) == "fits several cells, for it does not say its rank"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"task": "cb"}, "task=cb"),
        ({"strategy": "lora"}, "strategy=lora"),
        ({"task": "rte", "strategy": "full", "learning_rate": 2e-4}, "full learning_rate=2e-4"),
        ({"strategy": "full", "precision": "bfloat16"}, "precision=bfloat16"),
        ({"model": "another"}, "model=another"),
        ({"task": "rte"}, "fits several cells, for it does not say its strategy, learning_rate"),
    ],
)
def test_what_no_run_has_is_said(said: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert find(said, small(), tmp_path) == words


def test_a_rate_in_32_bits_is_the_same_rate(tmp_path: Path) -> None:
    like = find({"task": "rte", "strategy": "full", "learning_rate": 9.999999747378752e-05}, small(), tmp_path)
    assert isinstance(like, Planned)
    assert like.run.learning_rate == 1e-4
