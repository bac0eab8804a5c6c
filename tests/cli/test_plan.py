"""`peftcli plan`: the states of a recipe's runs, its cohorts and its strategies, as text and as JSON."""

import json
from pathlib import Path

import pytest

from peftcli.experiment import cohort_size, plan, recipe
from tests import folders, written_records
from tests.commandline import Command


@pytest.fixture
def file(tmp_path: Path, tiny_folder: Path) -> Path:
    """Twelve runs in three strategies; of the first strategy two are recorded, one of them diverged."""
    file = folders.recipe(tmp_path / "small.yaml", tiny_folder)
    runs = [planned.run for planned in plan.expand(recipe.load(file))]
    written_records.write(tmp_path / "out", runs[0], {"validation": {"accuracy": 0.5}})
    written_records.write(tmp_path / "out", runs[1], {}, status="diverged")
    return file


def test_states_cohorts_and_strategies(file: Path, peftcli: Command) -> None:
    ended = peftcli("plan", file, "--output", file.parent / "out", "--cohort", "3")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "small"
    assert lines[1].endswith("12 runs: 1 completed, 1 diverged, 10 missing")
    assert lines[2] == "6 cohorts of at most 3 runs"  # four runs of each strategy
    left = {line.split()[0]: int(line.split()[-1]) for line in lines[5:]}
    assert left == {"layernorm": 2, "bitfit": 4, "full": 4}


def test_every_run_with_its_settings_as_json(file: Path, peftcli: Command) -> None:
    output = file.parent / "out"
    runs = [planned.run for planned in plan.expand(recipe.load(file))]
    cohort_size.pin(output, cohort_size.sweep_id(runs), cohort_size.Pin(2))
    described = json.loads(peftcli("plan", file, "--output", output, "--set", "warmup_ratio=0.5", "--json").out)
    assert (described["runs"], described["cohort_size"]) == (12, 8)  # other settings are another sweep
    assert [run["origins"]["warmup_ratio"] for run in described["plan"]] == ["--set"] * 12
    described = json.loads(peftcli("plan", file, "--output", output, "--json").out)
    assert (described["cohorts"], described["cohort_size"]) == (6, 2)
    assert [run["state"] for run in described["plan"]] == ["completed", "diverged", *["missing"] * 10]
    assert [run["id"] for run in described["plan"]] == [run.id for run in runs]


def test_where_options_come_from_is_told_too(peftcli: Command) -> None:
    said = json.loads(peftcli("plan", "transferability/table3", "--set", "seeds=1", "--json").out)["plan"][0]
    assert said["option_origins"] == {
        "layers": "recipe, strategy layernorm",
        "embedding": "protocol transferability: derived",
    }
    assert said["origins"]["precision"] == "protocol transferability: derived"
    own = json.loads(peftcli("plan", "demo", "--set", "seeds=1", "--json").out)["plan"]
    origins = {origin for run in own for origin in run["option_origins"].values()}
    assert origins <= {f"the strategy {run['run']['strategy']}" for run in own} | {
        f"recipe, strategy {run['run']['strategy']}" for run in own
    }


def test_a_walltime_is_for_calibration(file: Path, peftcli: Command) -> None:
    ended = peftcli("plan", file, "--time", "1:00:00")
    assert ended.is_one_line
    assert "--time is for --calibrate here" in ended.err
