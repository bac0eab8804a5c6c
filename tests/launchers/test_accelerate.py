"""Sweeps by several processes: the same records however many there are, and one that dies takes nothing else with it."""

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli import records, stopping
from peftcli.cli import sweep as command
from peftcli.errors import UserError
from peftcli.experiment import cohort_size, plan
from peftcli.experiment.recipe import load
from peftcli.launchers import accelerate, groups
from peftcli.records import merge
from peftcli.runner import grouping, work
from peftcli.runner.work import SweepSettings
from tests import folders
from tests.chaos import disturbed

SHORT = {
    "strategies": ["layernorm", "bitfit"],
    "seeds": [0],
    "training": {"epochs": 1, "batch_size": 8, "max_train_samples": 32},
}
LONG = {**SHORT, "training": {"epochs": 60, "batch_size": 8, "max_train_samples": 64}}


def contents(output: Path) -> dict[str, Any]:
    sound, damaged = records.read_all(output)
    assert not damaged
    return {record.id: merge.content(record.body) for record in sound}


def sweep(recipe: Path, output: Path, *options: str) -> BaseProcess:
    """A sweep begun in a fork of this process, which need not import anything; the processes that it starts are new ones."""
    return disturbed.forked(["sweep", str(recipe), "--output", str(output), *options], 600.0, said_of(output))


def said_of(output: Path) -> Path:
    """What a sweep into a folder wrote on its stderr, and its processes on theirs."""
    return output.with_name(f"{output.name}.said")


def exit_code(process: BaseProcess, seconds: float) -> int | None:
    process.join(seconds)
    return process.exitcode


def children(process: BaseProcess, count: int) -> list[int]:
    """The processes that a process started, once there are so many."""
    file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    limit = time.monotonic() + 90
    while len(found := [int(pid) for pid in file.read_text().split()]) < count:
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.recipe(tmp_path_factory.mktemp("recipes") / "r.yaml", tiny_folder, **SHORT)


@pytest.fixture(scope="module")
def alone(environment: dict[str, str], recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The records of one process, which is this one."""
    output = tmp_path_factory.mktemp("alone")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the processes have it, whose records are compared bit by bit
    try:
        with pytest.MonkeyPatch.context() as patch:
            settle(patch, environment)
            assert command.sweep(str(recipe), output, cohort=1) == 0
    finally:
        torch.set_num_threads(threads)
    return contents(output)


def settle(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Give this process, and those that it starts, an environment."""
    for name, value in environment.items():
        patch.setenv(name, value)


# One process is started as several are; that it is alone, tests of the command line show too.
@pytest.mark.parametrize(
    "processes",
    [pytest.param(1, marks=pytest.mark.whole), 2, pytest.param(4, marks=[pytest.mark.chaos, pytest.mark.whole])],
)
def test_the_same_records_by_any_number_of_processes(
    processes, alone, recipe, environment, tmp_path, monkeypatch, capfd
):
    settle(monkeypatch, environment)
    loaded = load(recipe, {})
    runs = [planned.run for planned in plan.expand(loaded)]
    settings = SweepSettings(loaded.model, tmp_path / "out")
    unit = work.WorkUnit(tuple(grouping.cohorts(runs, settings, 1)), frozenset(run.id for run in runs))
    assert accelerate.run(unit, settings, processes, 1) == []
    assert contents(tmp_path / "out") == alone
    assert capfd.readouterr().err == ""


@pytest.fixture
def settled(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, alone: object) -> None:
    """The environment of a command line of its own; and all that a sweep needs is imported, so that forks start at once."""
    settle(monkeypatch, environment)


@pytest.mark.chaos
@pytest.mark.usefixtures("settled")
def test_a_process_that_is_killed_is_reported_and_the_others_finish(alone, recipe, tmp_path):
    options = ["--cohort", "1", "--launcher", "accelerate", "--processes", "2"]
    process = sweep(recipe, tmp_path / "out", *options)
    os.kill(children(process, 2)[0], signal.SIGKILL)
    assert exit_code(process, 240) == 1
    said = said_of(tmp_path / "out").read_text()
    assert "process 1 ended early (killed by signal 9): 2 of its 2 runs are missing" in said
    assert said.count("missing: demo") == 2
    assert "2 of 4 runs completed" in said
    found = contents(tmp_path / "out")
    assert len(found) == 2
    assert found.items() <= alone.items()


@pytest.mark.whole  # test_parallel shows it without a launcher
def test_two_processes_that_train_each_run_together_find_the_same(environment, tiny_folder, tmp_path, monkeypatch):
    settle(monkeypatch, environment)
    exact = {**SHORT, "training": {**SHORT["training"], "precision": "float64"}}
    recipe = str(folders.recipe(tmp_path / "r.yaml", tiny_folder, **exact))
    assert command.sweep(recipe, tmp_path / "one", cohort=2) == 0
    together = {"launcher": "accelerate", "processes": 2, "processes_per_run": 2}
    assert command.sweep(recipe, tmp_path / "two", cohort=2, **together) == 0
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert len(one) == 4
    for own, other in zip(one.values(), (two[key] for key in one), strict=True):
        for part in ("training", "evaluations"):
            assert len(own[part]) == len(other[part]) > 0
            for entry, expected in zip(other[part], own[part], strict=True):
                assert entry == pytest.approx(expected, abs=1e-9)
        assert own["cost"]["tokens"] == other["cost"]["tokens"]


@pytest.mark.chaos
@pytest.mark.usefixtures("settled")
def test_a_signal_reaches_every_process_and_nothing_is_lost(tiny_folder, tmp_path):
    recipe = folders.recipe(tmp_path / "r.yaml", tiny_folder, **LONG)
    assert exit_code(sweep(recipe, tmp_path / "alone", "--cohort", "1"), 300) == 0
    options = ["--cohort", "1", "--launcher", "accelerate", "--processes", "2"]
    process = sweep(recipe, tmp_path / "out", *options)
    workers = children(process, 2)
    while not contents(tmp_path / "out"):
        time.sleep(0.05)
    time.sleep(1)
    before, asked = contents(tmp_path / "out"), time.monotonic()
    process.terminate()
    code, said = exit_code(process, 30), said_of(tmp_path / "out").read_text()
    assert time.monotonic() - asked < 5
    assert code == stopping.STOPPED, said
    assert all(map(gone, workers))
    assert before.items() <= contents(tmp_path / "out").items()
    assert "progress saved" in said
    assert list((tmp_path / "out").glob(".checkpoints/*.safetensors"))
    assert exit_code(sweep(recipe, tmp_path / "out", *options), 300) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@pytest.mark.chaos
@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.whole)])
def test_no_process_outlives_its_launcher(number, tiny_folder, tmp_path):
    recipe = folders.recipe(tmp_path / "r.yaml", tiny_folder, **LONG)
    options = ["--launcher", "accelerate", "--processes", "2", "--processes-per-run", "2"]
    process = sweep(recipe, tmp_path / "out", *options)
    workers = children(process, 2)
    time.sleep(8)
    os.kill(process.pid, number)
    assert exit_code(process, 30) is not None
    limit = time.monotonic() + 5
    while not all(map(gone, workers)):
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.chaos
@pytest.mark.usefixtures("settled")
def test_a_group_that_loses_a_process_ends_and_writes_nothing_wrong(tiny_folder, tmp_path):
    recipe = folders.recipe(tmp_path / "r.yaml", tiny_folder, **LONG)
    options = ["--cohort", "1", "--launcher", "accelerate", "--processes", "2", "--processes-per-run", "2"]
    process = sweep(recipe, tmp_path / "out", *options)
    workers = children(process, 2)
    while not contents(tmp_path / "out"):
        time.sleep(0.05)
    os.kill(workers[1], signal.SIGKILL)
    assert exit_code(process, 60) == 1
    assert "killed by signal 9" in said_of(tmp_path / "out").read_text()
    found = contents(tmp_path / "out")
    assert 1 <= len(found) < 4
    assert {body["status"] for body in found.values()} == {"completed"}
    assert exit_code(sweep(recipe, tmp_path / "out", *options), 300) == 0
    assert len(contents(tmp_path / "out")) == 4


SIZES = {"seeds": [0, 1], "strategies": ["layernorm"]}  # four runs, eight steps


@pytest.mark.parametrize(
    ("place", "rank", "fits"),
    [
        ("backward", 1, 2),
        pytest.param("forward", 0, 1, marks=pytest.mark.whole),
        pytest.param("update", 1, 2, marks=pytest.mark.whole),
    ],
)
def test_a_group_out_of_memory_goes_on_in_smaller_cohorts(
    place, rank, fits, environment, tiny_folder, tmp_path, monkeypatch, capfd
):
    settle(monkeypatch, environment)
    exact = {**SHORT, **SIZES, "training": {**SHORT["training"], "epochs": 2, "precision": "float64"}}
    loaded = load(folders.recipe(tmp_path / "r.yaml", tiny_folder, **exact), {})
    runs = [planned.run for planned in plan.expand(loaded)]
    assert command.sweep(str(tmp_path / "r.yaml"), tmp_path / "alone", cohort=4) == 0
    # Where an update was torn the last checkpoint counts: one is written after every step.
    settings = SweepSettings(loaded.model, tmp_path / "out", checkpoint_seconds=-1.0 if place == "update" else 600.0)
    unit = work.WorkUnit((tuple(runs),), frozenset(run.id for run in runs), cohort_size.sweep_id(runs))
    monkeypatch.setattr(groups, "PROGRAM", "tests.shortage")
    monkeypatch.setenv("SHORTAGE", f"{place}:5:{fits}:{rank}:{tmp_path / 'log'}")
    capfd.readouterr()
    assert accelerate.run(unit, settings, 2, 2) == []
    onward = "from what was last saved" if place == "update" else "from there"
    said = capfd.readouterr().err
    assert f"out of memory at step 5: going on {onward} with 2 runs together\n" in said
    assert cohort_size.pinned(tmp_path / "out", unit.sweep) == cohort_size.Pin(fits)
    # By size of cohort: the four runs came to the step that failed, and what is left of them goes on from there.
    log = [[int(number) for number in line.split()] for line in (tmp_path / "log").read_text().splitlines()]
    steps = {size: [step for runs_together, step in log if runs_together == size] for size in (4, 2, 1)}
    assert steps[4][:6] == list(range(6))
    # The other process may have finished the update that was torn in this one, and saved it.
    assert steps[2][0] in ((5, 6) if place == "update" else (5,))
    assert steps[fits] == list(range(steps[fits][0], 8)) * (4 // fits)
    found, alone = contents(tmp_path / "out"), contents(tmp_path / "alone")
    assert found.keys() == alone.keys()
    for key, body in found.items():
        assert body["status"] == "completed"
        for part in ("training", "evaluations"):
            pairs = zip(body[part], alone[key][part], strict=True)
            assert all(entry == pytest.approx(other, abs=1e-9) for entry, other in pairs)
    assert not list((tmp_path / "out" / ".checkpoints").glob("*"))


@pytest.mark.whole
def test_a_run_at_fault_in_a_group_fails_alone(environment, tiny_folder, tmp_path, monkeypatch, capfd):
    settle(monkeypatch, environment)
    loaded = load(folders.recipe(tmp_path / "r.yaml", tiny_folder, **{**SHORT, "strategies": ["layernorm"]}), {})
    runs = [planned.run for planned in plan.expand(loaded)]
    settings = SweepSettings(loaded.model, tmp_path / "out")
    unit = work.WorkUnit(tuple((run,) for run in runs), frozenset(run.id for run in runs))
    monkeypatch.setattr(groups, "PROGRAM", "tests.shortage")
    # Only the first of the two cohorts comes to step 3 in the process that fails there: the second one starts anew.
    monkeypatch.setenv("SHORTAGE", f"forward:3:0:1:{tmp_path / 'log'}")
    assert accelerate.run(unit, settings, 2, 2) == []
    found = contents(tmp_path / "out")
    assert {body["status"] for body in found.values()} == {"failed"}
    assert {body["error"] for body in found.values()} == {"OutOfMemoryError at step 3: no room"}
    assert len(found) == 2


def test_processes_have_to_be_a_multiple(monkeypatch):
    monkeypatch.setattr(accelerate, "visible_gpus", lambda device: [])
    assert accelerate.check(4, 2, None) == 4
    with pytest.raises(UserError, match="--processes 3 is no multiple of --processes-per-run 2"):
        accelerate.check(3, 2, None)
    monkeypatch.setattr(accelerate, "visible_gpus", lambda device: ["0", "1"])
    assert accelerate.check(None, 1, None) == 2
    with pytest.raises(UserError, match="needs a GPU; there are 2"):
        accelerate.check(4, 2, None)


def test_on_a_processor_by_request_no_gpu_is_counted(monkeypatch):
    monkeypatch.setattr(accelerate.os, "sched_getaffinity", lambda process: set(range(6)))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert accelerate.check(None, 1, None) == 2
    assert accelerate.check(None, 1, "cpu") == 6
