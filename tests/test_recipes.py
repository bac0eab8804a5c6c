"""The recipes that come with the program: each loads, plans, and has a place for every cell that its paper printed."""

import csv
import json
import math
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from peftcli import documents
from peftcli.errors import UserError
from peftcli.experiment import plan, protocols, recipe
from peftcli.experiment import run as runs
from peftcli.experiment.plan import Planned
from peftcli.experiment.settings import NAMES
from peftcli.report import parameters as parameter_rows
from peftcli.report import report as reporting
from peftcli.report.claims import spec as vocabulary
from peftcli.report.figures import spec
from peftcli.report.table import layout, published, selection
from peftcli.report.table import spec as table_spec
from peftcli.strategies import registry
from peftcli.tasks.registry import COLUMNS
from tests import written_records

RECIPES = recipe.shipped()
PUBLISHED = sorted(str(file.relative_to(recipe.root()).with_suffix("")) for file in recipe.root().rglob("table*.csv"))
SIZES = {
    "transferability/table1": (9, 9, 1512),
    "transferability/table2": (5, 3, 210),
    "transferability/table3": (4, 13, 1092),
    "transferability/table4": (4, 8, 672),
    "freezing/table1": (14, 4, 385),
    "freezing/table2": (7, 6, 420),
    "freezing/table3": (7, 6, 420),
    "effectiveness/table1": (10, 7, 700),
    "effectiveness/table2": (10, 7, 700),
    "spafit/table2": (10, 9, 360),
    "demo": (3, 1, 9),
}


@cache
def load(name: str) -> recipe.Recipe:
    return recipe.load(recipe.find(name))


@cache
def expand(name: str) -> list[Planned]:
    return plan.expand(load(name))


def test_there_are_recipes_for_every_table_and_figure() -> None:
    assert len(RECIPES) >= 15
    assert set(SIZES) <= set(RECIPES)
    others = {"freezing/figure6", *(f"effectiveness/figure{n}" for n in (3, 4, 5))}
    sensitivity = {f"{paper}/sensitivity" for paper in ("transferability", "freezing", "effectiveness", "spafit")}
    assert others | sensitivity <= set(RECIPES)
    assert set(PUBLISHED) == set(SIZES) - {"demo"}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_plans_counts_and_has_a_view(name: str) -> None:
    made = load(name)
    assert made.title
    assert all(entry.label for _, entry in (*made.tasks, *made.strategies))
    planned = expand(name)
    entries = {p.strategy for p in planned}
    assert entries == set(range(len(made.strategies))), "an entry without a run of its own"
    table_spec.read(made)
    vocabulary.read(made)
    spec.parse_all(made.figures)
    if name.startswith("others/"):  # whose runs others trained
        with pytest.raises(UserError, match="its runs are imported"):
            parameter_rows.rows(made)
        return
    rows = parameter_rows.rows(made)
    assert {row["strategy"] for row in rows} == {strategy for strategy, _ in made.strategies}
    assert all(row["trainable"] > 0 for row in rows if row["strategy"] != "frozen")


@pytest.mark.parametrize("name", SIZES)
def test_tables_have_the_paper_s_shape(name: str) -> None:
    made, planned = load(name), expand(name)
    laid = layout.lay_out(made, table_spec.read(made), selection.outcomes(planned, Path("nowhere")))
    assert (len(laid.rows), len(laid.columns), len(planned)) == SIZES[name]


def test_the_demo_is_a_table_a_frontier_and_two_claims_on_one_page(tmp_path: Path) -> None:
    made = load("demo")
    scores = {"frozen": 0.58, "layernorm": 0.88, "full": 0.97}
    counts = {row["strategy"]: row for row in parameter_rows.rows(made)}
    with written_records.unsynced():
        for each in expand("demo"):
            measured = {"validation": {"accuracy": scores[each.run.strategy] + each.run.seed / 500}}
            parameters = {key: counts[each.run.strategy][key] for key in written_records.PARAMETERS}
            written_records.write(tmp_path, each.run, measured, parameters=parameters)
    page = reporting.report(made, tmp_path, "html")
    assert [page.count(f'id="{part}"') for part in ("table", "figure-pareto", "figure-curves", "claims", "cost")] == [
        1
    ] * 5
    assert 'id="differences"' not in page
    assert "On the frontier: Frozen, LayerNorm, Full" in page
    document = json.loads(reporting.report(made, tmp_path, "json"))
    assert [claim["verdict"] for claim in document["claims"]] == ["holds", "holds"]
    assert document["differences"] == []


def test_make_demo_writes_the_page_and_says_so_last() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "demo"], cwd=recipe.root().parent, capture_output=True, text=True
    )
    *_, written, said = done.stdout.splitlines()
    assert written.endswith("peftcli report recipes/demo.yaml --format html --to results/demo.html")
    assert said.startswith("echo")
    assert said.rstrip('"').endswith("results/demo.html")


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_is_frozen_in_the_schema_or_required(name: str) -> None:
    frozen = runs._schema()["options"]
    for strategy, _ in load(name).strategies:
        model = registry.get(strategy).option_model.model_fields
        for option, field in model.items():
            assert field.is_required() or option in frozen[strategy], (strategy, option)


def has(run: runs.Run, setting: str) -> bool:
    """Whether a run is of a printed row: read here apart from the program's own reading."""
    if setting.count("-") == 2 and "=" not in setting:
        first, second, variant = setting.split("-")
        return bool(run.options["groups"] == [int(first), int(second)] and run.options["variant"] == variant)
    for key, value in (pair.split("=") for pair in setting.split(";") if pair):
        known: Any = {
            "lr": run.learning_rate,
            "train_size": run.protocol.train_size,
            "layer": (run.options.get("layers") or [None])[0],
            "n": run.options.get("n"),
            "variant": run.options.get("variant"),
        }[key]
        wanted: Any = None if value == "all" else value if key == "variant" else float(value)
        if known != wanted:
            return False
    return not (run.strategy == "layernorm" and run.options["layers"] and "layer=" not in setting)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_printed_cell_has_its_runs(name: str) -> None:
    with open(recipe.root() / f"{name}.csv", encoding="utf-8") as stream:
        cells = list(csv.DictReader(stream))
    view = table_spec.read(load(name))
    tasks = dict(load(name).tasks)
    assert view.published == f"{Path(name).name}.csv"
    for cell in cells:
        if cell["task"] == "average":
            assert view.average is not None
            continue
        task, _ = COLUMNS[cell["task"]]
        assert task.name in tasks
        assert cell["metric"] in task.metrics
        planned = [p for p in expand(name) if p.run.task == task.name and p.run.strategy == cell["strategy"]]
        planned = [p for p in planned if has(p.run, cell["setting"])]
        assert len({p.strategy for p in planned}) == 1, cell
        own = [p.run for p in planned]
        metric = own[0].protocol.metric
        assert cell["metric"] == metric or cell["metric"] in view.metrics[cell["task"]]
        if cell["n"]:
            rates = {run.learning_rate for run in own}
            # Of seven printed runs two are of seeds that had one already.
            seeds = 5 if cell["n"] == "7" else int(cell["n"])
            assert len(own) == seeds * len(rates), cell


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_program_finds_every_printed_cell(name: str) -> None:
    cells = published.read(recipe.root() / f"{name}.csv")
    made = load(name)
    laid = layout.lay_out(made, table_spec.read(made), selection.outcomes(expand(name), Path("nowhere")))
    found = [
        published.find(cells, place.outcomes[0].run, place.column.column, place.column.metric)
        for place in laid.cells.values()
    ]
    assert all(found)
    assert len({id(cell) for cell in found}) == len([cell for cell in cells if cell.task != "average"]) == len(found)


@pytest.mark.parametrize("name", PUBLISHED)
def test_printed_averages_are_those_of_the_printed_cells(name: str) -> None:
    cells = published.read(recipe.root() / f"{name}.csv")
    for average in (cell for cell in cells if cell.task == "average"):
        row = [c.mean for c in cells if c.strategy == average.strategy and c.task != "average"]
        assert average.mean is not None
        means = [mean for mean in row if mean is not None]
        digits = 0.5 * 10**-average.decimals
        assert math.fsum(means) / len(means) == pytest.approx(average.mean, abs=0.01 + digits)


# What neither a text, nor code, nor a file of runs tells: every other setting and option has a source that does.
UNTOLD = {
    "transferability": {
        *("betas", "weight_decay", "max_grad_norm", "schedule", "overlong", "restore_best", "dropout"),
        *("bitfit over", "layernorm_outlier of", "layernorm_random of"),
    },
    "freezing": set(),
    "effectiveness": {
        *("steps", "adapter placement", "adapter reduction", "lora rank", "lora alpha"),
        *(f"{strategy} share" for strategy in ("random", "mixout", "magpruning", "diffpruning", "childpruning")),
    },
    "spafit": {
        *("betas", "epsilon", "weight_decay_spares", "max_grad_norm", "schedule", "warmup_ratio", "max_length"),
        *("overlong", "restore_best", "dropout", "lora dropout", "spafit dropout"),
    },
}


@pytest.mark.parametrize("name", [name for name in SIZES if name != "demo"])
def test_every_setting_and_option_of_a_table_has_a_source(name: str) -> None:
    assumed = set()
    for planned in expand(name):
        assert planned.origins.keys() == set(NAMES)
        assert planned.options.keys() == planned.run.options.keys()
        options = {f"{planned.run.strategy} {option}": origin for option, origin in planned.options.items()}
        for what, origin in (planned.origins | options).items():
            # What a recipe itself says is what its table's row or column says.
            assert origin.startswith(("protocol ", "recipe")), (what, origin)
            if origin.startswith("protocol "):
                assert origin.rpartition(": ")[2] in ("stated", "code", "derived", "assumed")
            if origin.endswith(": assumed"):
                assumed.add(what)
    assert assumed <= UNTOLD[name.partition("/")[0]], assumed - UNTOLD[name.partition("/")[0]]


@pytest.mark.parametrize("paper", ["transferability", "freezing", "effectiveness", "spafit"])
def test_every_assumption_has_an_alternative(paper: str) -> None:
    """Each assumed value that a recipe of the paper uses is another one in some run of its sensitivity recipe."""
    name = f"{paper}/sensitivity"
    variant = str(load(name).protocol)
    protocol = protocols.load(recipe.root() / paper / "protocol.yaml", variant)
    assumed: dict[tuple[str, str], set[str]] = {}
    for entry in expand(name):
        for _, training, options in protocol.layers(variant, entry.run.task, entry.run.strategy):
            for setting, given in training.items():
                if given.source == "assumed" and getattr(entry.run.protocol, setting) != given.value:
                    assumed.setdefault(("training", setting), set()).add(entry.run.id)
            for option, given in options.items():
                if given.source == "assumed" and entry.run.options[option] != given.value:
                    assumed.setdefault((entry.run.strategy, option), set()).add(entry.run.id)
    chosen = protocol.variants[variant]
    blocks = [protocol.training, chosen.training]
    overrides = [*protocol.overrides, *chosen.overrides]
    wanted = {
        ("training", s)
        for block in (*blocks, *(o.training for o in overrides))
        for s, v in block.items()
        if v.source == "assumed"
    }
    wanted -= {("training", s) for s, v in chosen.training.items() if v.source != "assumed"}
    assert wanted <= set(assumed), wanted - set(assumed)
    for override in overrides:
        for option, given in override.options.items():
            if given.source == "assumed":
                assert any((strategy, option) in assumed for strategy in override.strategies or ()), option


@pytest.mark.parametrize("paper", ["freezing", "effectiveness", "spafit"])
def test_an_assumption_of_one_reading_alone_has_an_alternative_too(paper: str) -> None:
    """Some run of the sensitivity recipe has the reading's options, and another all of them but the assumed one."""
    protocol = protocols.load(recipe.root() / paper / "protocol.yaml", "released")
    for override in (o for variant in protocol.variants.values() for o in variant.overrides):
        for option in (o for o, given in override.options.items() if given.source == "assumed"):
            given = {o: setting.value for o, setting in override.options.items()}
            known = [
                p.run.options for p in expand(f"{paper}/sensitivity") if p.run.strategy in (override.strategies or ())
            ]
            same = [own for own in known if all(own[o] == v for o, v in given.items() if o != option)]
            assert {own[option] == given[option] for own in same} == {True, False}, (override.strategies, option)


def test_low_data_tables_share_the_full_set_s_runs_with_table_1() -> None:
    first = {p.run.id for p in expand("freezing/table1")}
    for name, task in (("freezing/table2", "cola"), ("freezing/table3", "rte")):
        whole = {p.run.id for p in expand(name) if p.run.protocol.train_size is None}
        assert len(whole) == 7 * 10
        assert whole <= first
        assert {p.run.task for p in expand(name)} == {task}


def test_tables_of_a_paper_share_what_they_can() -> None:
    first = {p.run.id for p in expand("transferability/table1")}
    full = {p.run.id for p in expand("transferability/table3") if p.run.strategy == "full"}
    assert full <= first
    both = {p.run.id for p in (*expand("effectiveness/table1"), *expand("effectiveness/table2"))}
    assert {p.run.id for p in expand("effectiveness/figure4")} == both
    shared = {p.run.id for p in expand("effectiveness/figure5")} & {p.run.id for p in expand("effectiveness/table1")}
    assert len(shared) == 7 * 10  # at the share of the tables; the others evaluate what they train on too


def test_what_a_paper_s_recipes_train_with() -> None:
    def of(name: str, strategy: str, task: str) -> runs.Run:
        return next(p.run for p in expand(name) if (p.run.strategy, p.run.task) == (strategy, task))

    run = of("transferability/table1", "layernorm", "rte")
    assert (run.protocol.optimizer, run.protocol.epsilon, run.protocol.epochs) == ("adam", 1e-6, 20.0)
    assert of("transferability/table1", "layernorm", "mnli").protocol.epochs == 10.0
    assert of("transferability/table1", "full", "mnli").protocol.epochs == 5.0
    seeds = {
        t: {p.run.seed for p in expand("freezing/table1") if p.run.task == t} for t in ("cola", "rte", "sst2", "qnli")
    }
    assert {task: len(own) for task, own in seeds.items()} == {"cola": 10, "rte": 10, "sst2": 5, "qnli": 5}
    assert {p.run.strategy for p in expand("freezing/table1") if p.run.task == "qnli"} == {
        "full",
        "bitfit",
        "layernorm",
    }
    assert of("freezing/table1", "layernorm", "rte").options["embedding"] is True
    assert of("freezing/table1", "full", "rte").learning_rate == 3e-5
    assert of("effectiveness/table1", "sam", "cb").protocol.steps == 20_000
    assert of("effectiveness/table2", "sam", "cb").protocol.drop_examples == 0.1
    assert of("effectiveness/figure3", "diffpruning", "cb").options["again"] == 600
    assert of("spafit/table2", "spafit", "mnli").options["numbering"] == "released"
    assert of("spafit/table2", "lora", "mnli").options["rank"] == 64
    assert {p.run.learning_rate for p in expand("freezing/figure6")} == {
        1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0,
    }  # fmt: skip


def test_schema_freezes_every_setting_at_what_defaults_say() -> None:
    frozen = json.loads((Path(runs.__file__).parent / "schema.json").read_text())["training"]
    assert set(frozen) == set(NAMES)
    now = plan._as_floats(documents.load(Path(runs.__file__).parent / "defaults.yaml", "defaults"))
    assert now == frozen
