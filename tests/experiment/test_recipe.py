"""Recipes are read in every way they may be written; a bad one is refused in one line that names the bad value."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peftcli.errors import UserError
from peftcli.experiment import plan, recipe
from peftcli.experiment.settings import NAMES

SMALL: dict[str, Any] = {
    "title": "x",
    "tasks": ["rte"],
    "strategies": ["layernorm"],
    "learning_rates": [1e-3],
    "seeds": 1,
}


def build(**changes: Any) -> recipe.Recipe:
    return recipe.build({**SMALL, **changes}, Path("x.yaml"), {})


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_lists_are_read_in_every_way_they_may_be_written() -> None:
    read = build(
        tasks=["rte", {"cola": {"label": "CoLA", "seeds": 2}}, {"name": "mrpc", "training": {"epochs": 3}}],
        strategies=["full", "layernorm:layers=5-8,embedding=true", {"bitfit": None}, {"random": {"share": 0.1}}],
        seeds=3,
    )
    assert [name for name, _ in read.tasks] == ["rte", "cola", "mrpc"]
    assert read.tasks[1][1].seeds == [0, 1]
    assert read.tasks[2][1].training == {"epochs": 3}
    assert read.strategies[1][1].options == {"layers": "5-8", "embedding": True}
    assert read.strategies[3][1].options == {"share": 0.1}
    assert read.seeds == [0, 1, 2]


def test_words_and_overrides_are_no_options() -> None:
    entry = {
        "share": 0.1,
        "label": "R",
        "note": "n",
        "tasks": ["rte"],
        "learning_rates": [1],
        "seeds": 2,
        "training": {},
    }
    read = build(strategies=[{"random": entry}]).strategies[0][1]
    assert read.options == {"share": 0.1}
    assert (read.label, read.note, read.tasks, read.learning_rates, read.seeds) == ("R", "n", ["rte"], [1.0], [0, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "unknown key 'seed': did you mean 'seeds'"),
        ({"path": "/etc/passwd"}, "unknown key 'path'"),
        ({"overrides": {}}, "unknown key 'overrides'"),
        ({"title": 3}, "title: '3' should be a valid string"),
        ({"model": ""}, "model: ''"),
        ({"tasks": []}, "tasks: '[]'"),
        ({"tasks": "rte"}, "tasks: 'rte'"),
        ({"tasks": [["rte"]]}, "is neither a name nor a mapping with one name"),
        ({"tasks": [{"rte": {}, "cola": {}}]}, "is neither a name nor a mapping with one name"),
        ({"tasks": [{"rte": 3}]}, "what is said of 'rte' must be a mapping, not '3'"),
        ({"tasks": [{"rte": {"tasks": ["rte"]}}]}, "tasks is a key of strategies"),
        ({"strategies": ["layernorm:layers"]}, "'layers' is not option=value"),
        ({"strategies": ["layernorm:layers=1,layers=2"]}, "option 'layers' stands twice"),
        ({"strategies": [{"full": {"tasks": ["rt"]}}]}, "unknown task 'rt': did you mean 'rte'"),
        ({"strategies": [{"full": {"learning_rates": []}}]}, "learning_rates: '[]'"),
        ({"learning_rates": ["fast"]}, "'fast' should be a valid number"),
        ({"learning_rates": [-1]}, "-1 is out of range: legal is more than 0"),
        ({"learning_rates": [0]}, "learning_rates.0: 0 is out of range"),
        ({"learning_rates": [True]}, "'True' should be a valid number"),
        ({"learning_rates": [float("nan")]}, "'nan'"),
        ({"learning_rates": [1e-3, 0.001]}, "learning_rates lists a value twice"),
        ({"seeds": [-1]}, "seeds.0: -1 is out of range: the nearest is 0"),
        ({"seeds": [0, 0]}, "seeds lists a value twice"),
        ({"seeds": 0}, "0 is no count of seeds"),
        ({"seeds": 10**9}, "is no count of seeds"),
        ({"seeds": [2**63]}, "legal is less than 9223372036854775808"),
        ({"seeds": True}, "seeds: 'True'"),
    ],
)
def test_bad_recipes_get_one_line_naming_the_bad_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        build(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_keys_are_named() -> None:
    for key in SMALL:
        with pytest.raises(UserError, match=f"key '{key}' is missing"):
            recipe.build({k: v for k, v in SMALL.items() if k != key}, Path("x.yaml"), {})


def test_a_recipe_starts_from_another(tmp_path: Path) -> None:
    base = "title: base\ntasks: [rte]\nstrategies: [full]\nlearning_rates: [1e-5]\nseeds: 2\n"
    write(tmp_path, "base.yaml", base + "training: {epochs: 3, batch_size: 8}\n")
    file = write(tmp_path, "own.yaml", "extends: base.yaml\ntitle: own\ntraining: {epochs: 5}\nstrategies: [bitfit]\n")
    read = recipe.load(file)
    assert read.title == "own"
    assert read.training == {"epochs": 5, "batch_size": 8}
    assert [name for name, _ in read.strategies] == ["bitfit"]
    assert read.learning_rates == [1e-5]
    assert read.path == file


def test_a_circle_of_recipes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: b.yaml\n")
    file = write(tmp_path, "b.yaml", "extends: a.yaml\n")
    with pytest.raises(UserError, match="goes round in a circle"):
        recipe.load(file)
    with pytest.raises(UserError, match="cannot read recipe"):
        recipe.load(write(tmp_path, "c.yaml", "extends: absent.yaml\n"))


def test_set_reaches_recipe_keys_and_training_settings(tmp_path: Path) -> None:
    file = write(tmp_path, "r.yaml", "title: x\ntasks: [rte]\nstrategies: [full]\nlearning_rates: [1e-3]\nseeds: 1\n")
    pairs = ["epochs=2", "model=minilm", "seeds=3", "learning_rates=[1e-4, 1e-5]", "training.batch_size=8"]
    read = recipe.load(file, recipe.parse_set(pairs))
    assert read.overrides == {"epochs": 2}
    assert read.training == {"batch_size": 8}
    assert (read.model, read.seeds, read.learning_rates) == ("minilm", [0, 1, 2], [1e-4, 1e-5])
    run = plan.expand(read)[0].run
    assert (run.protocol.epochs, run.protocol.batch_size) == (2.0, 8)
    for pair, message in [
        ("epochs", "is not key=value"),
        ("=3", "is not key=value"),
        ("epoch=3", "unknown key 'epoch'"),
        ("title.x=3", "title is not a mapping"),
        ("seeds=[", "--set seeds: not YAML"),
        ("template={first} {second}", """quotes of its own: --set 'template="{first} {second}"'"""),
    ]:
        with pytest.raises(UserError, match=message):
            recipe.load(file, recipe.parse_set([pair]))


def test_recipes_are_found_by_path_and_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, "mine.yaml", "title: x\n")
    assert recipe.find(str(file)) == file
    write(tmp_path, "reviews.yaml", "title: x\n")
    with pytest.raises(
        UserError, match=f"unknown recipe '{tmp_path}/review.yaml': did you mean '{tmp_path}/reviews.yaml'"
    ):
        recipe.find(str(tmp_path / "review.yaml"))
    assert recipe.find("demo") == recipe.root() / "demo.yaml"
    assert recipe.find("transferability/table1") == recipe.root() / "transferability" / "table1.yaml"
    assert recipe.find("recipes/transferability/table1.yaml").samefile(recipe.root() / "transferability/table1.yaml")
    for name, message in [
        ("transferability/tabel1", "did you mean 'transferability/table1'"),
        ("a" * 5000, "unknown recipe"),
        ("a\0b", "unknown recipe"),
        (str(tmp_path), "is a folder, not a file"),
    ]:
        with pytest.raises(UserError, match=message):
            recipe.find(name)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
names = st.sampled_from(
    ["rte", "layernorm", "full", "share", "training", "seeds", "tasks", "label", "options", "layers", *NAMES]
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, st.text(max_size=5)), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(recipe.KEYS), values, max_size=3))
def test_malformed_recipes_give_user_errors_and_nothing_else(changes: dict[str, Any]) -> None:
    seeds = changes.get("seeds")
    if isinstance(seeds, int) and seeds > 5:  # a hundred thousand runs are legal, and take their time
        changes["seeds"] = 5
    with contextlib.suppress(UserError):
        planned = plan.expand(recipe.build({**SMALL, **changes}, Path("nowhere/x.yaml"), {}))
        assert all(p.run.id for p in planned)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=3), st.booleans())
def test_malformed_settings_give_user_errors_and_nothing_else(training: dict[str, Any], forced: bool) -> None:
    document = {**SMALL, "training": {} if forced else training}
    with contextlib.suppress(UserError):
        planned = plan.expand(recipe.build(document, Path("x.yaml"), training if forced else {}))
        assert all(p.run.id for p in planned)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["random", "layernorm", "lora", "spafit", "mixout"]), st.dictionaries(names, values, max_size=3))
def test_malformed_options_give_user_errors_and_nothing_else(strategy: str, options: dict[str, Any]) -> None:
    with contextlib.suppress(UserError):
        planned = plan.expand(build(strategies=[{strategy: options}]))
        assert all(p.run.id for p in planned)
