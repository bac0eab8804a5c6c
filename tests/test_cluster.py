"""The script for a machine with several GPUs, here two processes on the processor; SLURM's is in `tests/slurm`."""

import re
import subprocess
from pathlib import Path

import pytest

from peftcli import records
from tests import clusters, folders

SHORT = {
    "strategies": ["layernorm", "bitfit"],
    "learning_rates": [1e-3],
    "training": {"epochs": 1, "batch_size": 8, "max_train_samples": 32, "max_length": 32},
}


@pytest.mark.whole  # a sweep of two processes, fetched, checked and reported by the script
def test_a_recipe_on_several_processes_from_nothing_to_its_table(tiny_folder, environment, tmp_path):
    recipe = folders.recipe(tmp_path / "recipe.yaml", tiny_folder, **SHORT)
    clusters.command(tmp_path / "bin")
    done = clusters.run("gpus.sh", recipe, tmp_path, environment, PROCESSES="2")
    assert done.returncode == 0, done.stderr
    sound, damaged = records.read_all(tmp_path / "results")
    assert [record.status for record in sound] == ["completed"] * 4
    assert not damaged
    assert "found without a network: data demo" in done.stdout
    assert "4 of 4 runs are left" in done.stdout
    assert re.search(r"layernorm .*\d\d\.\d±\d", done.stdout)


def calls(script: str, folder: Path, environment: dict[str, str], **settings: str) -> tuple[int, list[str]]:
    """What a script calls `peftcli` with, each call after whether the hub is off; and its exit code."""
    clusters.pretend(folder / "bin")
    ran = clusters.run(script, "some/recipe", folder, {**environment, "HF_HUB_OFFLINE": "0"}, **settings)
    assert not ran.stderr
    return ran.returncode, (folder / "calls").read_text().splitlines()


SWEEPS = {
    "gpus.sh": "1 sweep some/recipe --output results --launcher accelerate",
    "slurm.sh": "1 sweep some/recipe --output results --launcher slurm --time 4:00:00 --max-jobs 16 --gpus 1",
}


@pytest.mark.parametrize("script", SWEEPS)
def test_scripts_stop_where_going_on_makes_no_sense(script, environment, tmp_path):
    fetch, look = "0 prefetch some/recipe", "1 doctor some/recipe --output results"
    table = "1 report some/recipe --output results"
    whole = [fetch, look, SWEEPS[script], table]
    for at, (stop, code, made) in enumerate([
        ("report", 0, whole), ("prefetch", 1, whole[:1]), ("doctor", 1, whole[:2]),
        ("sweep", 1, whole), ("sweep", 2, whole[:3]), ("sweep", 75, whole[:3]),
    ]):  # fmt: skip
        (tmp_path / str(at)).mkdir()
        found = calls(script, tmp_path / str(at), environment, **{f"CODE_{stop}": str(code)})
        assert found == (code, made)


def test_settings_reach_the_sweep(environment, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    settings = {"PARTITION": "gpu", "ACCOUNT": "lab", "GPUS": "", "MAX_JOBS": "3", "TIME": "20", "OUTPUT": "o"}
    _, made = calls("slurm.sh", tmp_path / "a", environment, **settings)
    expected = "--time 20 --max-jobs 3 --partition gpu --account lab"
    assert made[2] == f"1 sweep some/recipe --output o --launcher slurm {expected}"
    _, made = calls("gpus.sh", tmp_path / "b", environment, PROCESSES="4")
    assert made[2].endswith("--launcher accelerate --processes 4")


@pytest.mark.parametrize("script", sorted(file.name for file in clusters.SCRIPTS.iterdir()))
def test_every_script_is_sound_shell_and_says_how_it_is_run(script):
    text = (clusters.SCRIPTS / script).read_text()
    subprocess.run(["bash", "-n", str(clusters.SCRIPTS / script)], check=True)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert f"#   bash {script} " in text
    assert "\nset -euo pipefail\n" in text
