"""A group's part of the machine, and its end: whoever waits for a broken process is ended, and what is left goes on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from peftcli import files, stopping
from peftcli.experiment import plan
from peftcli.launchers import assignments, groups
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.groups import Group, Machine
from peftcli.launchers.pipes import Pipes
from peftcli.runner.display import Status
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import written_records

WAITS = "import time; time.sleep(600)"  # as in a sum that the others do not come to


def group(tmp_path: Path, *programs: str) -> Group:
    """A group of processes that run these programs."""
    processes = [subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) for program in programs]
    return Group(tmp_path / "assignment-0.json", 0, written_records.runs(written_records.small())[:4], processes)


def ended(group: Group, rank: int) -> Group:
    group.processes[rank].wait(60)
    return group


def written(file: Path, count: int) -> None:
    """Write an assignment with so many cohorts of two runs."""
    cohorts = tuple(plan.cohorts(written_records.runs(written_records.small()), 2))[:count]
    unit = WorkUnit(cohorts, frozenset(run.id for cohort in cohorts for run in cohort))
    files.write(file, assignments.encode(Assignment(unit, SweepSettings("minilm", file.parent))))


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_whoever_waits_for_a_broken_process_is_ended_at_once(rank: int, tmp_path: Path) -> None:
    programs = [WAITS] * 3
    programs[rank] = f"import sys; sys.exit({stopping.REGROUP})"
    broken, began = ended(group(tmp_path, *programs), rank), time.monotonic()
    groups.look_after(broken)
    assert time.monotonic() - began < 5
    assert all(process.poll() is not None for process in broken.processes)
    assert broken.broken
    assert not broken.over


def test_one_that_hears_of_the_break_first_does_not_hide_it(tmp_path: Path) -> None:
    """The first process has lost the second one, which has not ended yet: it may still say that the group is to go on."""
    late = group(
        tmp_path, f"import sys; sys.exit({stopping.LOST})", f"import sys; input(); sys.exit({stopping.REGROUP})"
    )
    groups.look_after(ended(late, 0))
    assert late.processes[1].poll() is None
    late.processes[1].communicate(b"\n")
    groups.look_after(late)
    assert late.broken


def test_one_that_never_ends_after_a_loss_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MEETING_GRACE", 0.0)
    lost = ended(group(tmp_path, WAITS, "import sys; sys.exit(9)"), 1)
    groups.look_after(lost)
    groups.look_after(lost)
    assert lost.over
    assert lost.complaint == "ended early (killed by signal 9, exit code 9)"


def test_a_broken_group_is_started_again_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "at_work.py"
    program.write_text("import sys; sys.exit(0)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(groups, "PROGRAM", "at_work")
    broken, pipes = ended(group(tmp_path, f"import sys; sys.exit({stopping.REGROUP})", "pass"), 0), Pipes()
    written(broken.file, 1)
    again = groups.restart(broken, Machine(2, 2, "cpu"), pipes, None)
    assert again is not None
    assert (again.name, len(again.processes), len(again.runs)) == ("1.2", 2, 2)
    assert [process.wait(60) for process in again.processes] == [0, 0]
    assert again.over
    assert again.complaint is None
    assert (broken.complaint, broken.broken) == (None, False)
    # Of the four runs one had ended: the other three are counted where they are done.
    shown = broken.status(Status(runs=4, done=1, left=3.0))
    assert (shown.running, shown.runs, shown.done, shown.left) == ("continued", 1, 1, 0.0)
    pipes.close()


def test_with_nothing_left_no_group_is_started(tmp_path: Path) -> None:
    broken, pipes = ended(group(tmp_path, f"import sys; sys.exit({stopping.REGROUP})"), 0), Pipes()
    written(broken.file, 0)
    assert groups.restart(broken, Machine(1, 1, "cpu"), pipes, None) is None
    assert broken.over
    pipes.close()


def test_workers_on_gpus_share_the_cores_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "visible_gpus", lambda device: ["4", "7"] if device == "cuda" else [])
    monkeypatch.setattr(groups.os, "sched_getaffinity", lambda process: set(range(6)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environments = [groups._environment(number, Machine(2, 1, "cuda")) for number in range(2)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in environments] == ["4", "7"]
    assert {each["OMP_NUM_THREADS"] for each in environments} == {"3"}
    assert groups._environment(0, Machine(2, 2, "cuda"))["CUDA_VISIBLE_DEVICES"] == "4,7"
    assert groups._environment(0, Machine(9, 1, "cuda"))["OMP_NUM_THREADS"] == "1"
    on_processor = groups._environment(0, Machine(2, 1, "cpu"))
    assert on_processor["OMP_NUM_THREADS"] == "3"
    assert on_processor.get("CUDA_VISIBLE_DEVICES") == groups.os.environ.get("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert groups._environment(0, Machine(2, 1, "cuda"))["OMP_NUM_THREADS"] == "5"
