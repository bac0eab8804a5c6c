"""Sweeps on a real SLURM of two nodes: arrays finish, jobs that are requeued or warned lose nothing, `plan` tells the truth."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peftcli import records
from peftcli.records import merge
from tests import clusters, folders
from tests.slurm import cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(cluster.missing()), reason=f"no SLURM here: {', '.join(cluster.missing())} missing"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    with cluster.cluster(tmp_path_factory.mktemp("cluster")) as own:
        yield {**environment, "SLURM_CONF": own["SLURM_CONF"]}


def peftcli(environment: dict[str, str], *arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "peftcli", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(environment: dict[str, str], *arguments: str | Path) -> tuple[str, str]:
    process = peftcli(environment, *arguments)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return out, err


def ask(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


def wait_until(done: Any, seconds: float = 120.0) -> None:
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.5)


def contents(output: Path) -> dict[str, Any]:
    sound, damaged = records.read_all(output)
    assert not damaged
    return {record.id: merge.content(record.body) for record in sound}


def done(output: Path) -> set[str]:
    return {record.id for record in records.read_all(output)[0]}


def test_a_sweep_over_an_array_finishes_and_plan_tells_the_truth(slurm, tiny_folder, tmp_path):
    recipe = folders.recipe(tmp_path / "recipe.yaml", tiny_folder)
    options = [recipe, "--output", tmp_path / "cluster", "--cohort", "1"]
    sweep = peftcli(slurm, "sweep", *options, "--launcher", "slurm", "--max-jobs", "4", "--time", "20")
    seen: set[str] = set()
    while sweep.poll() is None:
        before = done(tmp_path / "cluster")
        shown = json.loads(finished(slurm, "plan", *options, "--json")[0])
        after = done(tmp_path / "cluster")
        states = {run["id"]: run["state"] for run in shown["plan"]}
        completed = {own for own, state in states.items() if state == "completed"}
        assert before <= completed <= after
        assert sum(shown["states"].values()) == 12
        assert sum(state == "running" for state in states.values()) <= 4  # one a job, with cohorts of one
        if any("RUNNING" in line for line in shown["jobs"]):
            assert {"running", "queued"} & set(states.values())
        seen |= set(states.values())
    assert sweep.returncode == 0, sweep.stderr.read()
    assert {"running", "queued", "completed"} <= seen | {"completed"}
    assert len(done(tmp_path / "cluster")) == 12
    finished(slurm, "sweep", recipe, "--output", tmp_path / "alone", "--cohort", "1")
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")
    assert "12 completed" in finished(slurm, "plan", *options)[0]


LONG = {"strategies": ["layernorm", "bitfit"], "training": {"epochs": 60, "batch_size": 8, "max_train_samples": 64}}


def under_way(output: Path) -> bool:
    """Whether every process of every job has ended a cohort, and so is training its second and last one."""
    file = next(output.glob(".slurm/*/submission.json"))
    document, ended = json.loads(file.read_text()), done(output)
    left = [[cohort for cohort in share if not ended >= set(cohort)] for share in document["shares"]]
    return all(
        len(own) == len(share) - document["at_once"] for own, share in zip(left, document["shares"], strict=True)
    )


def test_jobs_that_are_requeued_or_warned_lose_nothing(slurm, tiny_folder, tmp_path):
    recipe = folders.recipe(tmp_path / "recipe.yaml", tiny_folder, **LONG)
    output = tmp_path / "cluster"
    options = [recipe, "--output", output, "--cohort", "2"]
    launcher = ["--launcher", "slurm", "--max-jobs", "2", "--time", "20", "--detach"]
    array = re.search(r"array (\d+): 2 jobs", finished(slurm, "sweep", *options, *launcher)[1])[1]
    logs = [next(output.glob(".slurm/*")) / f"{array}_{number}_0_log.err" for number in range(2)]
    wait_until(lambda: under_way(output))
    before = contents(output)
    ask(slurm, "scontrol", "requeue", f"{array}_0")
    ask(slurm, "scancel", "--signal=USR1", f"{array}_1")
    wait_until(lambda: all("progress saved" in log.read_text() for log in logs), 30)
    assert "missing" not in finished(slurm, "plan", *options)[0]  # queued, or at work again
    wait_until(lambda: not ask(slurm, "squeue", "--noheader"), 300)
    assert [re.findall(r"(\d) of 4 runs to train", log.read_text()) for log in logs] == [["4", "2"], ["4", "2"]]
    assert before.items() <= contents(output).items()
    assert "8 completed" in finished(slurm, "plan", *options)[0]
    finished(slurm, "sweep", recipe, "--output", tmp_path / "alone", "--cohort", "2")
    assert contents(output) == contents(tmp_path / "alone")
    assert not list(output.glob(".checkpoints/*"))


def test_a_job_of_several_processes_that_is_warned_loses_nothing(slurm, tiny_folder, tmp_path):
    """The warning reaches the job and its processes, which are told by the job once more."""
    recipe = folders.recipe(tmp_path / "recipe.yaml", tiny_folder, **LONG)
    output = tmp_path / "cluster"
    options = [recipe, "--output", output, "--cohort", "2"]
    launcher = ["--launcher", "slurm", "--max-jobs", "1", "--processes", "2", "--detach"]
    array = re.search(r"array (\d+): 1 jobs", finished(slurm, "sweep", *options, *launcher)[1])[1]
    log = next(output.glob(".slurm/*")) / f"{array}_0_0_log.err"
    wait_until(lambda: under_way(output))
    ask(slurm, "scancel", "--signal=USR1", f"{array}_0")
    wait_until(lambda: log.read_text().count("progress saved") == 2, 30)
    wait_until(lambda: not ask(slurm, "squeue", "--noheader"), 300)
    assert re.findall(r"(\d) of 8 runs to train", log.read_text()) == ["8", "4"]
    finished(slurm, "sweep", recipe, "--output", tmp_path / "alone", "--cohort", "2")
    assert contents(output) == contents(tmp_path / "alone")


def test_the_script_for_a_cluster_goes_from_nothing_to_the_table(slurm, tiny_folder, tmp_path):
    short = {"training": {"epochs": 1, "batch_size": 8, "max_train_samples": 32, "max_length": 32}}
    recipe = folders.recipe(tmp_path / "recipe.yaml", tiny_folder, **short)
    clusters.command(tmp_path / "bin")
    settings = {"GPUS": "", "PARTITION": "tests", "MAX_JOBS": "2", "TIME": "20", "OUTPUT": "records"}
    ran = clusters.run("slurm.sh", recipe, tmp_path, slurm, **settings)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"array \d+: 2 jobs submitted", ran.stderr)
    assert len(done(tmp_path / "records")) == 12
    assert "12 of 12 runs are left" in ran.stdout
    assert re.search(r"layernorm .*\d\d\.\d±\d", ran.stdout)
    again = clusters.run("slurm.sh", recipe, tmp_path, slurm, **{**settings, "PARTITION": "none"})
    assert again.returncode == 0, again.stderr  # nothing is left, so nothing is submitted
    assert "12 recorded already" in again.stderr


def test_a_refused_job_is_one_line(slurm, tiny_folder, tmp_path):
    recipe = folders.recipe(tmp_path / "recipe.yaml", tiny_folder)
    process = peftcli(slurm, "sweep", recipe, "--output", tmp_path / "o", "--launcher", "slurm", "--partition", "none")
    _, said = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "Batch job submission failed: Invalid partition name specified" in said.splitlines()[-1]
