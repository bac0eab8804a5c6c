"""From a recipe to runs: in its order, under its settings, grouped in cohorts; selections and their refusals."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peftcli import records
from peftcli.errors import UserError
from peftcli.experiment import plan, recipe
from peftcli.experiment.plan import Planned

SMALL: dict[str, Any] = {
    "title": "x",
    "tasks": ["rte", "mrpc"],
    "strategies": ["full", "layernorm"],
    "learning_rates": [1e-4, 1e-3],
    "seeds": 2,
}
PROTOCOL = """
paper: p
title: t
training: {epochs: {value: 7, source: stated}, batch_size: {value: 4, source: code}}
overrides:
  - {tasks: [rte], training: {epochs: {value: 8, source: stated}}}
  - {strategies: [full], training: {epochs: {value: 9, source: assumed}}}
  - {strategies: [layernorm], options: {embedding: {value: true, source: code}}}
variants:
  described: {}
  released:
    training: {batch_size: {value: 5, source: code}}
    overrides: [{tasks: [mrpc], training: {max_length: {value: 64, source: code}}}]
"""


def expand(overrides: dict[str, Any] | None = None, path: Path = Path("x.yaml"), **changes: Any) -> list[Planned]:
    return plan.expand(recipe.build({**SMALL, **changes}, path, overrides or {}))


def of(planned: list[Planned], strategy: str, task: str) -> Planned:
    return next(p for p in planned if (p.run.strategy, p.run.task) == (strategy, task))


def test_runs_come_in_the_recipe_s_order() -> None:
    planned = expand()
    assert len(planned) == 2 * 2 * 2 * 2
    assert [p.run.describe() for p in planned[:5]] == [
        "rte full lr=0.0001 seed=0",
        "rte full lr=0.0001 seed=1",
        "rte full lr=0.001 seed=0",
        "rte full lr=0.001 seed=1",
        "mrpc full lr=0.0001 seed=0",
    ]
    assert {(p.strategy, p.task) for p in planned} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert len({p.run.id for p in planned}) == 16


def test_strategy_outranks_task_outranks_recipe() -> None:
    planned = expand(
        tasks=[{"rte": {"learning_rates": [5e-4], "seeds": 1, "training": {"epochs": 5}}}, "mrpc"],
        strategies=["full", {"layernorm": {"learning_rates": [1e-2], "seeds": [7], "training": {"epochs": 6}}}],
        training={"epochs": 4},
    )
    keys = {(p.run.strategy, p.run.task, p.run.learning_rate, p.run.seed, p.run.protocol.epochs) for p in planned}
    assert {k for k in keys if k[:2] == ("full", "rte")} == {("full", "rte", 5e-4, 0, 5.0)}
    assert {k[2:] for k in keys if k[:2] == ("full", "mrpc")} == {
        (1e-4, 0, 4.0),
        (1e-4, 1, 4.0),
        (1e-3, 0, 4.0),
        (1e-3, 1, 4.0),
    }
    assert {k[2:] for k in keys if k[0] == "layernorm"} == {(1e-2, 7, 6.0)}


def test_settings_are_laid_over_each_other_and_say_where_they_came_from(tmp_path: Path) -> None:
    (tmp_path / "protocol.yaml").write_text(PROTOCOL)
    path = tmp_path / "x.yaml"
    planned = expand(path=path)
    assert of(planned, "layernorm", "mrpc").run.protocol.epochs == 7
    assert of(planned, "layernorm", "rte").run.protocol.epochs == 8
    assert of(planned, "full", "rte").run.protocol.epochs == 9
    assert of(planned, "layernorm", "rte").run.options == {"layers": None, "embedding": True}
    origins = of(planned, "full", "rte").origins
    assert origins["epochs"] == "protocol p: assumed"
    assert origins["batch_size"] == "protocol p: code"
    assert origins["optimizer"] == "defaults.yaml"

    released = expand(path=path, protocol="released")
    assert of(released, "full", "rte").run.protocol.batch_size == 5
    assert of(released, "full", "mrpc").run.protocol.max_length == 64
    assert of(released, "full", "mrpc").origins["max_length"] == "protocol p, released: code"

    forced = expand({"epochs": 1}, path, training={"epochs": 2, "batch_size": 3})
    assert of(forced, "full", "rte").run.protocol.epochs == 1
    assert of(forced, "full", "rte").origins["epochs"] == "--set"
    assert of(forced, "full", "rte").origins["batch_size"] == "recipe"

    own = expand(path=path, strategies=[{"layernorm": {"embedding": False}}])
    assert own[0].run.options["embedding"] is False


def test_runs_alike_are_one_run() -> None:
    twins = expand(strategies=["layernorm", {"layernorm": {"embedding": False, "label": "again"}}])
    assert len(twins) == 8
    assert {p.strategy for p in twins} == {0}


def test_a_task_may_stand_twice_with_settings_of_its_own() -> None:
    planned = expand(tasks=["rte", {"rte": {"training": {"train_size": 100}}}])
    assert [(p.task, p.run.protocol.train_size) for p in planned if p.run.strategy == "full"] == [(0, None)] * 4 + [
        (1, 100)
    ] * 4


def test_a_strategy_may_keep_to_some_tasks() -> None:
    planned = expand(strategies=["full", {"layernorm": {"tasks": ["mrpc"]}}])
    assert {p.run.task for p in planned if p.run.strategy == "layernorm"} == {"mrpc"}
    assert len(planned) == 8 + 4
    assert len(expand(tasks=["rte"], strategies=["full", {"layernorm": {"tasks": ["mrpc"]}}])) == 4


def test_whole_numbers_make_the_same_run_as_floats() -> None:
    assert expand(training={"epochs": 5})[0].run.id == expand(training={"epochs": 5.0})[0].run.id
    assert expand(learning_rates=[1])[0].run.id == expand(learning_rates=[1.0])[0].run.id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ["layrnorm"]}, "unknown strategy 'layrnorm': did you mean 'layernorm'"),
        ({"strategies": ["layernorm:layer=3"]}, "unknown option 'layer'"),
        ({"tasks": ["rtee"]}, "unknown task 'rtee': did you mean 'rte'"),
        ({"tasks": [{"rte": {"trainig": {}}}]}, "task rte: unknown key 'trainig': did you mean 'training'"),
        ({"training": {"epoch": 3}}, "recipe: unknown setting 'epoch': did you mean 'epochs'"),
        ({"tasks": [{"rte": {"training": {"x": 3}}}]}, "recipe, task rte: unknown setting 'x'"),
        ({"strategies": [{"full": {"training": {"x": 3}}}]}, "recipe, strategy full: unknown setting 'x'"),
        ({"training": {"batch_size": 0}}, "batch_size: 0 is out of range: the nearest is 1"),
        ({"training": {"epochs": -1}}, "epochs: -1.0 is out of range: legal is more than 0"),
        ({"training": {"evaluate_every": "0 steps"}}, "must be more than 0"),
        ({"training": {"evaluate_every": "0.5 steps"}}, "must be a whole number of steps"),
        ({"training": {"early_stopping": 3}}, "early_stopping needs restore_best"),
        ({"training": {"metric": "matthews"}}, "task rte: unknown metric 'matthews': known: accuracy"),
        ({"training": {"optimizer": "sgd"}}, "unknown value 'sgd'"),
        ({"protocol": "described"}, "names protocol 'described', but no protocol.yaml is there"),
    ],
)
def test_bad_recipes_are_refused_when_planned(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        expand(**changes)
    assert message in str(caught.value)


def test_tasks_whose_files_cannot_be_read_are_told_apart_from_mistakes_in_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("text,label\na,x\nb,y\n")
    tasks = ["rte", *({"name": name, "data": f"{name}.csv", "text": "text"} for name in ("good", "missing"))]
    made = recipe.build({**SMALL, "tasks": tasks}, tmp_path / "x.yaml", {})
    planned, unreadable = plan.expand_readable(made)
    assert [p.run.task for p in planned[::4]] == ["rte", "good"] * 2
    assert list(unreadable) == ["missing"]
    assert "missing.csv' does not exist" in str(unreadable["missing"])
    with pytest.raises(UserError, match="does not exist"):
        plan.expand(made)
    tasks[1] |= {"txt": "x"}  # type: ignore[operator]
    with pytest.raises(UserError, match="unknown key 'txt'"):
        plan.expand_readable(recipe.build({**SMALL, "tasks": tasks}, tmp_path / "x.yaml", {}))


def test_only_keeps_the_unreadable_tasks_that_it_asks_for() -> None:
    unreadable = {"a": UserError("a"), "b": UserError("b")}
    assert list(plan.select_tasks(unreadable, [])) == ["a", "b"]
    assert list(plan.select_tasks(unreadable, ["task=a", "strategy=full"])) == ["a"]
    assert not plan.select_tasks(unreadable, ["task=a", "task=b"])
    assert not plan.select_tasks(unreadable, ["id=0123"])  # a run of these has no id yet
    assert plan.select(expand(), ["task=a"], unreadable={"a"}) == []


def test_only_selects() -> None:
    planned = expand()
    assert {p.run.task for p in plan.select(planned, ["task=rte"])} == {"rte"}
    assert len(plan.select(planned, ["task=rte", "strategy=full", "learning_rate=1e-3", "seed=1"])) == 1
    assert len(plan.select(planned, ["learning_rate=0.0010"])) == 8
    for p in planned:
        assert [q.run.id for q in plan.select(planned, [f"id={p.run.id}"])] == [p.run.id]
    with pytest.raises(UserError, match="unknown key 'tsk': did you mean 'task'"):
        plan.select(planned, ["tsk=rte"])
    with pytest.raises(UserError, match="leaves no run"):
        plan.select(planned, ["task=cola"])


def test_an_id_that_looks_like_a_number_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = expand()[:1]
    monkeypatch.setattr(type(planned[0].run), "id", property(lambda run: "12345678901234e5"))
    assert plan.select(planned, ["id=12345678901234e5"]) == planned


def test_cohorts_hold_runs_alike_in_all_but_rate_and_seed() -> None:
    runs = [p.run for p in expand(seeds=3)]
    whole = plan.cohorts(runs, 100)
    assert [len(c) for c in whole] == [6, 6, 6, 6]
    assert all(len({r.cohort_key() for r in c}) == 1 for c in whole)
    parts = plan.cohorts(runs, 4)
    assert [len(c) for c in parts] == [4, 2] * 4
    assert sorted(r.id for c in parts for r in c) == sorted(r.id for r in runs)
    assert plan.cohorts(runs, 1) == [(run,) for c in whole for run in c]


def test_states_tell_missing_from_damaged(tmp_path: Path) -> None:
    runs = [p.run for p in expand()[:2]]
    target = records.path(tmp_path, runs[0])
    target.parent.mkdir(parents=True)
    target.write_text("{")
    assert records.states(runs, tmp_path) == {runs[0].id: "damaged", runs[1].id: "missing"}


def test_ids_of_the_papers_runs_do_not_change() -> None:
    first = {name: plan.expand(recipe.load(recipe.find(name)))[0].run.id for name in ("demo", *PINNED)}
    assert {name: first[name] for name in PINNED} == PINNED


PINNED = {
    "transferability/table1": "2c37feea7b56a1ea",
    "freezing/table1": "d6f6c065abe0f0b3",
    "effectiveness/table1": "21c9ddcf6ef3c973",
    "spafit/table2": "a2a68cfdddce150e",
}
BEFORE = {  # while the papers' precision was left to the machine, and the first of equal evaluations was gone back to
    "transferability/table1": "44d804958683803f",
    "freezing/table1": "2bafe4f4c093881c",
    "effectiveness/table1": "70be0e05a6d84ac9",
    "spafit/table2": "f3e7d8335699f680",
}


@pytest.mark.parametrize("name", BEFORE)
def test_settings_added_since_change_no_id_at_the_value_that_means_what_was_done(name: str) -> None:
    earlier = recipe.load(recipe.find(name), {"precision": "auto", "ties": "first"})
    assert plan.expand(earlier)[0].run.id == BEFORE[name]


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys, peftcli.experiment.plan, peftcli.experiment.recipe, peftcli.experiment.protocols, peftcli.records;"
        "from peftcli.experiment import plan, recipe;"
        "n = len(plan.expand(recipe.load(recipe.find('freezing/table1'))));"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'transformers', 'datasets', 'matplotlib', 'sklearn'};"
        "print(n, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["385", "[]"]


OWN = {"data": "mine", "text": "text", "label": "label"}


def own_recipe(folder: Path, tasks: list[Any]) -> recipe.Recipe:
    """A recipe on data of the user's own, which lie in `mine` and `other` beside it."""
    for name in ("mine", "other"):
        (folder / name).mkdir(exist_ok=True)
        for split in ("train", "validation"):
            (folder / name / f"{split}.csv").write_text(f"text,more,label\n{name},b,x\nc,d,y\n")
    document = {"title": "t", "model": "minilm", "tasks": tasks, "strategies": ["layernorm"]}
    return recipe.build(document | {"learning_rates": [1e-3], "seeds": 1}, folder / "r.yaml", {})


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (
            [{"rte": OWN}],
            "task rte: that is the name of a task that peftcli has: call the one on your own data otherwise",
        ),
        ([{"name": "cola", **OWN}], "such as my_cola"),
        ([{"conll2003": {"text": "words"}}], "such as my_conll2003"),
        ([{"rte": {"epochs": 3}}], "task rte: unknown key 'epochs'"),
        ([{"mine": OWN | {"text": ["text", "text"]}}], "text: \"['text', 'text']\" names 'text' twice"),
        ([{"mine": OWN | {"labels": ["x", "y", "x"]}}], "names 'x' twice: each once"),
        ([{"mine": OWN | {"labels": [0, 1, "1"]}}], "names '1' twice: each once"),
        ([{"mine": OWN}, {"mine": OWN | {"data": "other"}}], "task mine: two tasks have this name, on "),
    ],
)
def test_a_task_of_one_s_own_that_cannot_be_is_told_why(tmp_path: Path, tasks: list[Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        plan.expand(own_recipe(tmp_path, tasks))
    assert message in str(refused.value)


def test_a_task_of_one_s_own_may_stand_twice_on_the_same_data(tmp_path: Path) -> None:
    short = OWN | {"training": {"epochs": 1}}
    assert len(plan.expand(own_recipe(tmp_path, [{"mine": OWN}, {"mine": short}]))) == 2
