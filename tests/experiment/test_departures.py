"""Whatever makes a recipe's runs other ones than those of the recipe as shipped is named; what changes no run is not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from peftcli import documents
from peftcli.experiment import departures, recipe
from peftcli.experiment.departures import Departures
from peftcli.experiment.recipe import KEYS

TABLE = "freezing/table1"


def of(name: str, *pairs: str) -> Departures:
    return departures.departures(recipe.load(recipe.find(name), recipe.parse_set(list(pairs))))


SET: dict[str, tuple[str, ...]] = {  # a key of the recipe or a setting, and what is said of it
    "model=roberta-base": ("model roberta-base instead of bert-base-cased",),
    "seeds=2": ("seeds 2 instead of 10 (cola, rte)",),
    "seeds=[10,11,12,13,14,15,16,17,18,19]": (
        "seeds [10, 11, 12, 13, 14, 15, 16, 17, 18, 19] instead of 10 (cola, rte)",
    ),
    "learning_rates=[1e-4]": ("learning_rates 0.0001 instead of 0.0001, 0.0005, 0.001 (bitfit, layernorm)",),
    "protocol=released": ("protocol released instead of described", "dropout_until 1.0 instead of 0.1"),
    "tasks=[cola]": ("tasks without rte, sst2, qnli",),
    "training.batch_size=16": ("batch_size 16 instead of 8",),
    "accumulate=2": ("accumulate 2 instead of 1",),
    "epochs=1": ("epochs 1.0 instead of 20.0",),
    "precision=bfloat16": ("precision bfloat16 instead of float32",),
    "strategies=[{full: {learning_rates: [3e-5]}}, bitfit, layernorm, {random: {learning_rates: [5e-4, 1e-3, 5e-3], "
    "share: 0.01, tasks: [cola, rte, sst2]}}]": (
        "strategies without initbias_bitfit",
        "random share 0.01 instead of 0.001",
    ),
}


@pytest.mark.parametrize("pair", SET)
def test_what_is_set_on_the_command_line_is_named(pair: str) -> None:
    assert of(TABLE, pair).text == "; ".join(SET[pair])
    assert of(TABLE, pair).name == TABLE


def test_every_key_of_a_recipe_is_told_or_shows_results_alone() -> None:
    told = {pair.split("=")[0].split(".")[0] for pair in SET} - {"epochs", "precision", "accumulate"}
    assert set(KEYS) == told | (departures.REPORT_ONLY - {"path"})


@pytest.mark.parametrize(
    "pair",
    [
        "seeds=10",
        "epochs=20",
        "learning_rates=[1e-3,5e-4,1e-4]",
        "table.decimals=2",
        "title=x",
        "checkpoint_activations=true",
    ],
)
def test_what_changes_no_run_is_not_named(pair: str) -> None:
    assert of(TABLE, pair) == departures.Departures(TABLE) or of(TABLE, pair) == departures.NONE
    assert not of(TABLE, pair).text


def test_seeds_are_counted_by_task_and_strategy() -> None:
    fewer = of(TABLE, "seeds=2")
    assert fewer.counts["cola", "full"] == (2, 10)
    assert {task for task, _ in fewer.counts} == {"cola", "rte"}, "SST-2 and QNLI have five of their own"
    other = of(TABLE, "seeds=[10,11,12,13,14,15,16,17,18,19]")
    assert (len(other.seeds), other.counts, other.changes) == (1, {}, ())


def test_a_variant_of_a_strategy_that_is_added_or_left_out_is_named() -> None:
    both = "{lora: {variant: I}}, {lora: {variant: II}}"
    assert of("spafit/table2", f"strategies=[full, {both}]").text == "strategies without bitfit, spafit"
    fewer = of(
        "spafit/table2", "strategies=[full, bitfit, {lora: {variant: II}}, {spafit: {groups: [4, 9], rank: 8}}]"
    ).text
    assert "strategies without lora:rank=64,alpha=128.0,variant=I;" in fewer
    assert "spafit rank 8 instead of 64;" in fewer, "beside the variant that it is most like"
    assert fewer.count("strategies without spafit:groups=") == 5
    more = of(
        "spafit/table2", f"strategies=[full, bitfit, {{spafit: {{groups: [1, 2]}}}}, {both}, {{lora: {{rank: 4}}}}]"
    ).text
    assert "strategies with lora:rank=4,alpha=128.0" in more


def test_a_copy_is_known_by_its_title_or_its_printed_cells_and_a_recipe_by_what_it_extends(tmp_path: Path) -> None:
    source = recipe.root() / "freezing"
    copies = tmp_path / "freezing"
    shutil.copytree(source, copies)
    assert not departures.departures(recipe.load(copies / "table1.yaml")).text
    # The copy's protocol is its own.
    protocol = (copies / "protocol.yaml").read_text()
    (copies / "protocol.yaml").write_text(protocol.replace("batch_size: {value: 8,", "batch_size: {value: 32,"))
    changed = departures.departures(recipe.load(copies / "table1.yaml"))
    assert (changed.name, changed.text) == (TABLE, "batch_size 32 instead of 8")
    renamed = _rewritten(copies / "table1.yaml", copies / "mine.yaml", title="Mine", seeds=3)
    assert (
        departures.departures(recipe.load(renamed)).text
        == "batch_size 32 instead of 8; seeds 3 instead of 10 (cola, rte)"
    )
    retitled = _rewritten(copies / "table1.yaml", copies / "other.yaml", table={"model": "bert-base-cased"})
    assert departures.departures(recipe.load(retitled)).name == TABLE, "known by its title"
    extending = tmp_path / "extending.yaml"
    extending.write_text(f"extends: {source / 'table1.yaml'}\ntitle: Mine\ntraining: {{epochs: 2}}\nprotocol: null\n")
    theirs = departures.departures(recipe.load(extending))
    assert theirs.name == TABLE
    assert "protocol none instead of described" in theirs.text
    assert "epochs 2.0 instead of 20.0" in theirs.text


def _rewritten(source: Path, target: Path, **changes: Any) -> Path:
    target.write_text(json.dumps({**documents.load(source, "recipe"), **changes}))
    return target


def test_a_recipe_of_the_user_s_own_is_compared_with_its_file(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("title: Own\ntasks: [rte]\nstrategies: [full]\nlearning_rates: [1e-4]\nseeds: 2\n")
    assert departures.departures(recipe.load(own)) == departures.NONE
    changed = departures.departures(recipe.load(own, {"seeds": 1, "epochs": 5}))
    assert (changed.name, changed.text) == ("own.yaml", "epochs 5.0 instead of 3.0; seeds 1 instead of 2")
    built = recipe.build({**documents.load(own, "recipe"), "seeds": 1}, Path("nowhere.yaml"), {})
    assert departures.departures(built) == departures.NONE, "of a recipe without a file nothing is known"


def test_a_long_list_of_places_is_counted() -> None:
    places = tuple(f"task{n}" for n in range(9))
    text = departures.Departure("epochs", "1.0", "2.0", places).text
    assert text == "epochs 1.0 instead of 2.0 (task0, task1, task2, task3, task4, task5, 3 more)"
