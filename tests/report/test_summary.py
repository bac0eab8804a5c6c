"""A report as data: runs by state, what went wrong, what it cost, what the records were recipe with."""

import json
from pathlib import Path
from unittest import mock

import pytest

from peftcli.experiment import recipe as recipes
from peftcli.report import report, summary
from peftcli.report.claims import gathering
from tests.written_records import body, load, runs, small, unsynced, write


def test_costs_of_a_cohort_are_shared(tmp_path: Path) -> None:
    recipe = small()
    cost = {"seconds": 7200.0, "steps": 10, "tokens": 24000, "peak_memory_bytes": 5, "cohort": 24}
    with unsynced():
        for run in runs(recipe):
            write(tmp_path, run, {"validation": {"accuracy": 0.5}}, cost=cost)
    report = summary.summarise(recipe, tmp_path, False)
    assert report.cost.hours == pytest.approx(2.0)
    assert (report.cost.tokens, report.cost.peak_memory_bytes, report.cost.devices) == (24000, 5, ("cpu",))
    assert len(report.environments) == 1


def test_runs_are_counted_by_state_and_troubles_say_why(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=5)
    done, diverged, failed, damaged, _ = runs(recipe)
    with unsynced():
        write(tmp_path, done, {"validation": {"accuracy": 0.5}})
        write(tmp_path, diverged, {}, "diverged")
        write(tmp_path, failed, {}, "failed", error="OutOfMemoryError: no")
        write(tmp_path, damaged, {}).write_text("{")
    report = summary.summarise(recipe, tmp_path, False)
    assert report.counts == {"completed": 1, "diverged": 1, "failed": 1, "damaged": 1, "missing": 1}
    assert report.troubles == (
        "rte full lr=0.001 seed=1: diverged: loss or weights not finite at step 3",
        "rte full lr=0.001 seed=2: failed: OutOfMemoryError: no",
        "rte full lr=0.001 seed=3: damaged: not readable as JSON (JSONDecodeError)",
    )


def test_distinct_environments_stand_once_and_memory_is_the_most_of_any(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3], seeds=4)
    usual = body({})["environment"]
    gpu = {**usual, "device": "NVIDIA H100"}
    cost = body({})["cost"]
    with unsynced():
        for run, environment, peak in zip(
            runs(recipe), (usual, gpu, dict(usual), gpu), (None, 7, None, 9), strict=True
        ):
            changes = {"environment": environment, "cost": {**cost, "peak_memory_bytes": peak}}
            write(tmp_path, run, {"validation": {"accuracy": 0.5}}, **changes)
    report = summary.summarise(recipe, tmp_path, False)
    assert report.environments == (usual, gpu)
    assert report.cost.devices == ("cpu", "NVIDIA H100")
    assert report.cost.peak_memory_bytes == 9
    assert report.cost.hours == pytest.approx(4 * 36 / 3600)


def test_a_report_names_what_is_not_as_shipped(tmp_path: Path) -> None:
    made = recipes.load(recipes.find("freezing/table3"), {"seeds": 2, "precision": "bfloat16"})
    first = report.notes(made, tmp_path)[0]
    assert first == (
        "Not as freezing/table3, the paper's protocol, has it: precision bfloat16 instead of float32; seeds 2 instead of 10."
    )
    for form in ("terminal", "markdown", "latex", "html"):
        words = " ".join(report.report(made, tmp_path, form).split())
        assert "precision bfloat16 instead of float32; seeds 2 instead of 10" in words, form
    document = json.loads(report.report(made, tmp_path, "json"))
    assert [(each["key"], each["here"], each["shipped"]) for each in document["departures"]] == [
        ("precision", "bfloat16", "float32"),
        ("seeds", "2", "10"),
    ]
    whole = recipes.load(recipes.find("freezing/table3"))
    assert not any("Not as" in note for note in report.notes(whole, tmp_path))


def test_a_recipe_of_no_paper_names_it_too(tmp_path: Path) -> None:
    made = recipes.load(recipes.find("demo"), {"epochs": 1})
    assert report.notes(made, tmp_path)[0].startswith("Not as demo has it: epochs 1.0 instead of ")


def test_numbers_are_gathered_once_for_all_claims_over_the_same_tables() -> None:
    recipe = load("transferability/table1")
    tables = [tuple(claim["tables"]) if "tables" in claim else () for claim in recipe.claims]
    assert (len(tables), set(tables)) == (7, {(), ("table3.yaml",)})
    with mock.patch.object(gathering, "gather_all", wraps=gathering.gather_all) as gathered:
        assert len(summary.summarise(recipe, Path("nowhere"), False).claims) == 7
    assert gathered.call_count == 2
